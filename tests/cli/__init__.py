"""Tests of hilserl.cli."""
