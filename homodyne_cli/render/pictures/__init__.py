"""PNG pictures of a fit."""
