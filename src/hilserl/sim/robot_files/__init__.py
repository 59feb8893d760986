"""Robots that users bring as MJCF or URDF files."""
