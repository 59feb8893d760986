"""Client side of the robot server."""
