"""What commands take: options that several share, completion, a command from its request."""
