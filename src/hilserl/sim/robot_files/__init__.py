"""Robots from MJCF or URDF files."""
