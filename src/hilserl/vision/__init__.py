"""Encoders of camera images, and where their weights come from."""
