"""Whether what goes into a fit can be believed."""
