"""Pure numerical core: no I/O, no printing, no environment."""
