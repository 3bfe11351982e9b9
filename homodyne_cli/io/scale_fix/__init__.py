"""The fix file that ``diagnose`` writes and ``apply-scale`` merges."""
