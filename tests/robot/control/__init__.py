"""Tests of hilserl.robot.control."""
