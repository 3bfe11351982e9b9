"""From a file to a Dataset: selection, masks, memory budget."""
