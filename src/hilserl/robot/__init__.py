"""Arms behind an HTTP robot server."""
