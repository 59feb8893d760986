"""Sections of the console's panel."""
