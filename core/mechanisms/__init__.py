"""One file per way to clear a market."""
