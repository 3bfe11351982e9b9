"""The checklist of ``homodyne verify``, one module per question."""
