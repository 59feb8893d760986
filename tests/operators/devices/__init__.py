"""Tests of hilserl.operators.devices."""
