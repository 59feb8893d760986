"""Tests of hilserl_ros1."""
