"""Tests of hilserl.operators.console."""
