"""Robots as data: kinematics, inertias, limits, fingers and capabilities."""
