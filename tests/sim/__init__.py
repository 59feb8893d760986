"""Tests of hilserl.sim."""
