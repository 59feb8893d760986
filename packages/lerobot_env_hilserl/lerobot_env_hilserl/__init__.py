"""The tasks of hilserl as environments of LeRobot."""

from importlib.util import find_spec

from lerobot_env_hilserl.environment import register_environments

register_environments()
if find_spec("lerobot") is not None:
    import lerobot_env_hilserl.config  # noqa: F401 - registers --env.type=hilserl
