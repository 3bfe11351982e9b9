"""Chi2 of the free parameters, contrast and offset eliminated."""
