"""Datasets as other programs write them."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from hilserl.datasets.lerobot.format import tasks_table


def lerobot_features() -> dict[str, Any]:
    """Return the features of a dataset of state alone."""
    scalars = {"next.reward": "float32", "next.done": "bool", "timestamp": "float32"}
    scalars |= dict.fromkeys(("frame_index", "episode_index", "index", "task_index"), "int64")
    return {
        "observation.state": {"dtype": "float32", "shape": [4], "names": ["x", "y", "z", "gripper.pos"]},
        "action": {"dtype": "float32", "shape": [3], "names": {"delta_x": 0, "delta_y": 1, "gripper": 2}},
        **{name: {"dtype": dtype, "shape": [1], "names": None} for name, dtype in scalars.items()},
    }


def lerobot_table(number: int, length: int, start: int, fps: int) -> pa.Table:
    """Make the rows of an episode.

    The state is x, y, z in millimetres and the gripper in percent. The last row is done; nothing tells truncation.
    """
    draw, index = np.random.default_rng(number), np.arange(length)
    state = np.concatenate([draw.uniform(-300, 300, (length, 3)), draw.uniform(0, 100, (length, 1))], 1)
    action = np.concatenate([draw.uniform(-1, 1, (length, 2)), draw.integers(0, 3, (length, 1))], 1)
    columns = {
        "observation.state": pa.FixedSizeListArray.from_arrays(pa.array(state.astype(np.float32).reshape(-1)), 4),
        "action": pa.FixedSizeListArray.from_arrays(pa.array(action.astype(np.float32).reshape(-1)), 3),
        "next.reward": pa.array((index == length - 1).astype(np.float32)),
        "next.done": pa.array(index == length - 1),
        "timestamp": pa.array((index / fps).astype(np.float32)),
        "frame_index": pa.array(index),
        "episode_index": pa.array(np.full(length, number)),
        "index": pa.array(start + index),
        "task_index": pa.array(np.zeros(length, np.int64)),
    }
    return pa.table(columns)


def write_foreign_lerobot(root: Path, lengths: Sequence[int], version: str = "v3.0", fps: int = 10) -> None:
    """Write a dataset as LeRobot's own recorder does, in version v3.0 or v2.1."""
    starts = np.cumsum([0, *lengths])
    tables = [lerobot_table(i, length, int(starts[i]), fps) for i, length in enumerate(lengths)]
    data, meta = root / "data" / "chunk-000", root / "meta"
    (meta / "episodes" / "chunk-000").mkdir(parents=True)
    data.mkdir(parents=True)
    info = {
        "codebase_version": version,
        "fps": fps,
        "features": lerobot_features(),
        "total_episodes": len(lengths),
        "chunks_size": 1000,
        "data_path": "data/chunk-{episode_chunk:03d}/episode_{episode_index:06d}.parquet",
    }
    (meta / "info.json").write_text(json.dumps(info))
    episodes = [{"episode_index": i, "tasks": ["push"], "length": length} for i, length in enumerate(lengths)]
    if version == "v3.0":
        pq.write_table(pa.concat_tables(tables), data / "file-000.parquet", row_group_size=7)
        pq.write_table(pa.Table.from_pylist(episodes), meta / "episodes" / "chunk-000" / "file-000.parquet")
        pq.write_table(tasks_table(["push"]), meta / "tasks.parquet")
        return
    for number, table in enumerate(tables):
        pq.write_table(table, data / f"episode_{number:06d}.parquet")
    (meta / "episodes.jsonl").write_text("\n".join(map(json.dumps, episodes)))
    (meta / "tasks.jsonl").write_text(json.dumps({"task_index": 0, "task": "push"}) + "\n")
