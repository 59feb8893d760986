"""Guards of the repository's structure."""
