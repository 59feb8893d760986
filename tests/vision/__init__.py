"""Tests of hilserl.vision."""
