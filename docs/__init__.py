"""Documents, and the script that writes those derived from the program."""
