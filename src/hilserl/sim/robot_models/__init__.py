"""Robots as data, from their joints to their fingers."""
