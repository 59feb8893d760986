"""Tests of hilserl.robot.client."""
