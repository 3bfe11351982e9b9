"""Files in and out: configs, correlation maps, run directories."""
