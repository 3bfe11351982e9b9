"""The run directory: written, read back, and that of homodyne 2.x."""
