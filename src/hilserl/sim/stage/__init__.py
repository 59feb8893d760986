"""The look of the simulated scene for people."""
