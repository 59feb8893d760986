"""Tests of hilserl.operators."""
