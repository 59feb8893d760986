"""Tests of hilserl.agents."""
