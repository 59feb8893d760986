"""A Franka through libfranka."""
