"""Tests of hilserl.rewards."""
