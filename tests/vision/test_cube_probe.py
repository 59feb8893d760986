"""Frozen features locate the cube: a check of encoder, weights and camera."""

import numpy as np
import pytest

from hilserl.tasks import make_sim_env
from hilserl.vision.frame_encoder import FrameEncoder, VisionConfig

pytestmark = pytest.mark.slow

SEEN, UNSEEN = 1000, 200
RIDGE = 100.0


def test_linear_probe_finds_the_cube_within_a_centimetre() -> None:
    env = make_sim_env("pick_cube", obs="pixels", cameras=("front",))
    frames, rng = FrameEncoder(env.experience, VisionConfig()), np.random.default_rng(0)
    features, positions = [], []
    for seed in range(SEEN + UNSEEN):
        observation, _ = env.reset(seed=seed)
        drift = np.append(rng.uniform(-1, 1, 3), 1.0)
        for _ in range(rng.integers(0, 6)):
            observation, *_ = env.step(drift)
        features.append(frames.encode(observation)["front.features"].astype(np.float32).ravel())
        positions.append(env.simulation.position_m("cube")[:2])
    env.close()
    x, y = np.array(features), np.array(positions)
    x = (x - x[:SEEN].mean(0)) / (x[:SEEN].std(0) + 1e-3)
    centre, seen = y[:SEEN].mean(0), x[:SEEN]
    dual = np.linalg.solve(seen @ seen.T + RIDGE * np.eye(SEEN), y[:SEEN] - centre)
    error = np.linalg.norm(x[SEEN:] @ (seen.T @ dual) + centre - y[SEEN:], axis=1)
    assert error.mean() < 0.01
    assert np.median(error) < 0.007
