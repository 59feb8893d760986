"""HTTP interface of the robot server."""
