"""Human-in-the-loop reinforcement learning for robot manipulation, in simulation first."""

from importlib.metadata import version

__version__ = version("hilserl")
