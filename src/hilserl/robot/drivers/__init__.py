"""Drivers of arms, simulated or real."""
