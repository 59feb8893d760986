"""Simulated arms in MuJoCo."""
