"""Tests of hilserl.runs."""
