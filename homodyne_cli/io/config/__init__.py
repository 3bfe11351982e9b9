"""The configuration: keys, defaults, reading, editing, reference."""
