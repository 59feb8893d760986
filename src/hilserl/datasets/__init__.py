"""Datasets of other programs, read as episodes or written from them."""
