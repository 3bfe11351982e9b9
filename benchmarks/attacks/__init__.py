"""Attacks: damaged and hostile inputs in large numbers, with counts of what came of them."""
