"""Reward functions learned from labelled images."""
