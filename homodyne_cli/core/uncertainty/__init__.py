"""What the minimum is worth: noise, covariance, degeneracies, profiles."""
