"""Camera image encoders."""
