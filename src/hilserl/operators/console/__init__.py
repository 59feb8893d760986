"""The human operator's console."""
