"""Tests of hilserl.operators.phone."""
