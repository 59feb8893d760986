"""Tests of hilserl.data."""
