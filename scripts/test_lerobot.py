"""Interchange of datasets, environments and robots with LeRobot itself.

make test-lerobot

It runs in a virtual environment that has LeRobot, and prints a report in Markdown. An exception ends it.
"""

import contextlib
import itertools
import json
import os
import subprocess
import sys
import tempfile
import time
from importlib.metadata import version
from pathlib import Path
from typing import Any

os.environ.update(HF_HUB_OFFLINE="1", HF_DATASETS_OFFLINE="1", SVT_LOG="1")
os.environ.setdefault("HF_HOME", tempfile.mkdtemp(prefix="hf-"))

import numpy as np
from lerobot.configs.types import FeatureType, PolicyFeature
from lerobot.datasets.compute_stats import aggregate_stats
from lerobot.datasets.lerobot_dataset import LeRobotDataset
from lerobot.policies.act.configuration_act import ACTConfig
from lerobot.policies.act.modeling_act import ACTPolicy
from lerobot.policies.factory import make_pre_post_processors
from lerobot.rl.buffer import ReplayBuffer

from hilserl.cli.main import main as hilserl
from hilserl.data.episodes import episode_files, read_episode
from hilserl.data.step import Step
from hilserl.lerobot.joints import LeRobotConfig
from hilserl.robot.control.backend import Mode
from hilserl.robot.control.limits import Box, Limits
from hilserl.robot.drivers.lerobot.backend import LeRobotBackend, LeRobotSettings
from hilserl.sim.robot_models.so101 import SO101
from hilserl.tasks.pick_cube import PickCube

EPISODES = 3
LEAST_PSNR_DB = 35.0


def check(*, fact: bool, what: str) -> None:
    """Print a row of the report, or fail.

    Raises:
        SystemExit: the fact is False.
    """
    print(f"| {what} | {'yes' if fact else 'NO'} |", flush=True)
    if not fact:
        raise SystemExit(f"Not true: {what}")


def psnr_db(one: np.ndarray, other: np.ndarray) -> float:
    """Return the peak signal-to-noise ratio of two images in 0 to 1."""
    return float(-10 * np.log10(max(float(np.mean((one - other) ** 2)), 1e-12)))


def check_items(dataset: LeRobotDataset, episodes: list[list[Step]], *, exact: bool) -> None:
    """Compare the items of a dataset with their steps."""
    rows = [(before, step) for steps in episodes for before, step in itertools.pairwise(steps)]
    check(fact=len(dataset) == len(rows), what=f"{len(rows)} rows in {len(episodes)} episodes")
    numbers, ratios = True, []
    for index, (before, step) in enumerate(rows):
        item = dataset[index]
        numbers &= np.array_equal(item["observation.state"].numpy(), before.observation["state"])
        numbers &= np.array_equal(item["action"].numpy(), step.action)
        numbers &= float(item["next.reward"]) == np.float32(step.reward)
        for name in ("front", "wrist"):
            image = item[f"observation.images.{name}"].numpy().transpose(1, 2, 0)
            ratios.append(psnr_db(image, before.observation[name] / 255))
    check(fact=bool(numbers), what="state, action and reward of every row are bit for bit ours")
    if exact:
        check(fact=min(ratios) > 100, what="every image is exact")
    else:
        mean = float(np.mean(ratios))
        check(
            fact=mean >= LEAST_PSNR_DB, what=f"images of video: PSNR {mean:.1f} dB on average, {min(ratios):.1f} least"
        )


def check_statistics(dataset: LeRobotDataset) -> None:
    """Compare our statistics with LeRobot's merge of the episodes'."""
    names = ("observation.state", "action", "observation.images.front")
    keys = ("min", "max", "mean", "std", "count", "q01", "q10", "q50", "q90", "q99")
    episodes = [
        {name: {key: np.array(row[f"stats/{name}/{key}"]) for key in keys} for name in names}
        for row in _episode_rows(dataset.root)
    ]
    merged = aggregate_stats(episodes)
    same = all(np.allclose(merged[n][k], dataset.meta.stats[n][k], atol=1e-6) for n in names for k in keys)
    check(fact=same, what="stats.json equals LeRobot's aggregate_stats of our episodes")


def _episode_rows(root: Path) -> list[dict[str, Any]]:
    import pyarrow.parquet as pq

    return [
        row for path in sorted((root / "meta/episodes").glob("*/*.parquet")) for row in pq.read_table(path).to_pylist()
    ]


def check_buffer(dataset: LeRobotDataset) -> None:
    """Fill LeRobot's replay buffer and draw from it."""
    keys = ["observation.state", *dataset.meta.camera_keys]
    buffer = ReplayBuffer.from_lerobot_dataset(
        dataset, device="cpu", state_keys=keys, capacity=len(dataset) + 1, optimize_memory=True
    )
    batch = buffer.sample(16)
    extra = set(batch["complementary_info"] or {})
    check(fact={"discrete_penalty", "is_intervention"} <= extra, what="rl.ReplayBuffer has penalties and interventions")
    classes = set(batch["action"][:, -1].tolist())
    check(fact=classes <= {0.0, 1.0, 2.0}, what="its gripper actions are classes")


def save_policy(dataset: LeRobotDataset, out: Path) -> None:
    """Write a freshly initialised ACT policy."""
    inputs = {
        "observation.state": PolicyFeature(type=FeatureType.STATE, shape=dataset.meta.shapes["observation.state"])
    }
    for key in dataset.meta.camera_keys:
        height, width, channels = dataset.meta.shapes[key]
        inputs[key] = PolicyFeature(type=FeatureType.VISUAL, shape=(channels, height, width))
    action = PolicyFeature(type=FeatureType.ACTION, shape=dataset.meta.shapes["action"])
    config = ACTConfig(
        input_features=inputs,
        output_features={"action": action},
        pretrained_backbone_weights=None,
        chunk_size=10,
        n_action_steps=10,
        device="cpu",
    )
    ACTPolicy(config).save_pretrained(out)
    for processor in make_pre_post_processors(config, dataset_stats=dataset.meta.stats):
        processor.save_pretrained(out)


def evaluate(policy: Path, out: Path) -> None:
    """Run `lerobot-eval` on PickCube."""
    command = [str(Path(sys.executable).with_name("lerobot-eval")), f"--policy.path={policy}", "--policy.device=cpu"]
    command += ["--env.type=hilserl", "--env.task=PickCube-v0", f"--eval.n_episodes={EPISODES}"]
    command += ["--eval.batch_size=1", "--eval.use_async_envs=false", f"--output_dir={out}"]
    done = subprocess.run(  # noqa: S603 - the command is above
        command, capture_output=True, text=True, check=False
    )
    if done.returncode:
        raise SystemExit(f"lerobot-eval failed:\n{done.stdout[-2000:]}\n{done.stderr[-4000:]}")
    found = json.loads((out / "eval_info.json").read_text())
    text = json.dumps(found)
    check(fact="pc_success" in text, what=f"lerobot-eval ran {EPISODES} episodes of PickCube with a fresh ACT")
    print(f"\nlerobot-eval: {json.dumps(found.get('overall', found))[:600]}")


def drive_robot() -> None:
    """Drive a robot that LeRobot makes, as the robot server does."""
    arm = PickCube(SO101).arms[0]
    box = Box(arm.workspace_low_m, arm.workspace_high_m).seen_from(arm.base_m, arm.base_yaw_rad)
    config = LeRobotConfig(python=Path(sys.executable), words=("robot.type=simulated_so101",))
    settings = LeRobotSettings(box, Limits(), "percent", SO101.home_joints_rad, SO101, config)
    with contextlib.closing(LeRobotBackend(settings)) as backend:
        check(fact=True, what="a plugin Robot is found by its distribution, made and connected by LeRobot")
        goal = backend.snapshot().pose + np.array([0.03, 0.05, -0.04, 0, 0, 0, 0])
        for _ in range(40):
            backend.move(goal)
            time.sleep(0.05)
        missing_mm = 1000 * float(np.linalg.norm(backend.snapshot().pose[:3] - goal[:3]))
        check(fact=missing_mm < 5, what=f"it follows a pose to {missing_mm:.1f} mm")
        backend.halt("a test")
        check(fact=backend.snapshot().mode == Mode.HALTED, what="it stops")
        backend.recover()
        check(fact=backend.metrics()["bus_failures"] == 0, what="its bus never failed")


def main() -> None:
    """Make datasets, let LeRobot use them, and drive a robot of LeRobot."""
    with tempfile.TemporaryDirectory() as scratch:
        root = Path(scratch)
        hilserl(["record", "pick_cube", "--out", str(root / "demos"), "--successes", str(EPISODES)])
        hilserl(["dataset", "convert", str(root / "demos"), "--out", str(root / "png")])
        hilserl(["dataset", "convert", str(root / "demos"), "--out", str(root / "video"), "--images", "video"])
        hilserl(["dataset", "convert", str(root / "demos"), "--out", str(root / "classes"), "--gripper", "classes"])
        episodes = [read_episode(path)[0] for path in episode_files(root / "demos")]
        versions = ", ".join(f"{name} {version(name)}" for name in ("lerobot", "torch", "datasets", "av", "hilserl"))
        print(f"\nPython {sys.version.split()[0]}, {versions}\n\n| LeRobot's own code | |\n| --- | --- |")
        datasets = {name: LeRobotDataset(f"local/{name}", root=root / name) for name in ("png", "video", "classes")}
        check(fact=True, what="LeRobotDataset opens datasets with PNG, with video, with gripper classes")
        check_items(datasets["png"], episodes, exact=True)
        check_items(datasets["video"], episodes, exact=False)
        check_statistics(datasets["png"])
        check_buffer(datasets["classes"])
        save_policy(datasets["video"], root / "act")
        evaluate(root / "act", root / "eval")
        drive_robot()


if __name__ == "__main__":
    main()
