"""Training across processes over a network."""
