"""Drivers of simulated or real arms."""
