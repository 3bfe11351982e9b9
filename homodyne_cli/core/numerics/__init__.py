"""What all of core computes with: JAX set up, threads, Gram-matrix algebra."""
