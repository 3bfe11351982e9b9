"""The model of a two-time map, and nothing that knows of data."""
