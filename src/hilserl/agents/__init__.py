"""Learning algorithms as immutable pytrees."""
