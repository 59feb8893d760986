"""Driver of a Franka arm under ROS 1."""
