"""Maps as arrays: how they are cut into tiles, and the noise of their pairs."""
