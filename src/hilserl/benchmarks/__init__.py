"""Measurements for `hilserl bench`."""
