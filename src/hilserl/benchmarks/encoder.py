"""Time that the frozen encoder takes for one image."""

from hilserl.benchmarks.rates import calls_per_s
from hilserl.tasks import make_sim_env
from hilserl.vision.frame_encoder import FrameEncoder, VisionConfig


def figures() -> dict[str, float]:
    """Measure the default encoder on the images of pick_cube."""
    env = make_sim_env("pick_cube", obs="pixels")
    frames = FrameEncoder(env.experience, VisionConfig())
    observation, _ = env.reset(seed=0)
    rate = calls_per_s(lambda: frames.encode(observation), 100)
    env.close()
    return {"encoder.ms_per_image": 1e3 / rate / len(frames.cameras)}
