"""From a start, or from none, to the minimum of an objective."""
