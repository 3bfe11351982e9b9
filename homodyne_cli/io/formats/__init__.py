"""One module per file layout; all answer with a `RawSource`."""
