"""What the program has to say about an input, a fit or a run, each kind under a stable code."""
