"""Tests of hilserl."""
