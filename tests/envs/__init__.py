"""Tests of hilserl.envs."""
