"""Tests of hilserl.robot."""
