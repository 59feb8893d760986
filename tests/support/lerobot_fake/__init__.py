"""Fake package `lerobot`, put on the path of child processes."""
