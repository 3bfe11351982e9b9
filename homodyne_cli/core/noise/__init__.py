"""Noise of a finite number of speckles and photons: how pairs vary together, and best weights."""
