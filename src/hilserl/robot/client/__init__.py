"""Clients of the robot server."""
