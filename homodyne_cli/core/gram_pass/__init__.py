"""The one pass over all pairs: Gram matrices per angle."""
