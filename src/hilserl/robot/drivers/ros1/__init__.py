"""A Franka under ROS 1."""
