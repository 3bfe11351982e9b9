"""Fit, diagnose and verify XPCS two-time correlation maps of soft matter in flow."""
