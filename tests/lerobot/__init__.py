"""Tests of hilserl.lerobot."""
