"""What tests share: simulated data, oracles, problems, files as facilities write them."""
