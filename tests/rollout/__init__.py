"""Tests of hilserl.rollout."""
