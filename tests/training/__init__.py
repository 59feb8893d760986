"""Tests of hilserl.training."""
