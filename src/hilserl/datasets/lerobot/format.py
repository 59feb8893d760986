"""The layout of a LeRobotDataset v3.0: files, features, Arrow schemas."""

import json
from collections.abc import Mapping
from typing import Any, Literal

import pyarrow as pa

from hilserl.data.episodes import huggingface_metadata
from hilserl.data.spec import ExperienceSpec
from hilserl.data.stored_episode import IMAGE
from hilserl.datasets.lerobot.statistics import QUANTILES
from hilserl.datasets.lerobot.video import video_info
from hilserl.errors import HilserlError

VERSION = "v3.0"
FILE = "chunk-{chunk_index:03d}/file-{file_index:03d}"
FILES_PER_CHUNK = 1000
DATA_FILE_MB, VIDEO_FILE_MB = 100, 200
INFO, STATS, TASKS, EPISODES = "meta/info.json", "meta/stats.json", "meta/tasks.parquet", "meta/episodes"
SPEC, ENDS = "meta/hilserl.json", "hilserl/episode_ends.parquet"
"""Files of ours beside LeRobot's.

They have the spec, and what LeRobot has no place for at both ends of an episode."""

Features = dict[str, dict[str, Any]]
"""Features of `info.json` by name."""
GripperForm = Literal["signed", "classes"]
"""Form of gripper actions.

They are signed as in hilserl, or LeRobot's classes 0 close, 1 stay, 2 open."""
SIGNED_ACTION = "hilserl.action"
"""Feature of the actions as they were, beside `action` with classes."""
PER_STEP = {
    "next.reward": ("float32", "reward"),
    "next.success": ("bool", "success"),
    "next.truncated": ("bool", "truncated"),
    "complementary_info.is_intervention": ("bool", "intervened"),
    "hilserl.terminated": ("bool", "terminated"),
    "hilserl.claimed": ("bool", "claimed"),
    "hilserl.truth": ("bool", "truth"),
    "hilserl.policy_version": ("int64", "policy_version"),
    "hilserl.human_seconds": ("float32", "human_seconds"),
    "hilserl.seed": ("int64", "seed"),
}
"""Features of one number, with dtype and the step's attribute."""
INDICES = {
    "timestamp": "float32",
    "frame_index": "int64",
    "episode_index": "int64",
    "index": "int64",
    "task_index": "int64",
}
PENALTY = "complementary_info.discrete_penalty"
_ARROW = {"float32": pa.float32(), "int64": pa.int64(), "bool": pa.bool_()}


def image_features(spec: ExperienceSpec) -> dict[str, str]:
    """Return the feature of each camera.

    A name in LeRobot has no slash.

    Raises:
        HilserlError: two cameras would have one name.
    """
    found = {camera: f"observation.images.{camera.replace('/', '_')}" for camera, _ in spec.images}
    if len(set(found.values())) < len(found):
        raise HilserlError(f"LeRobot's names have no slash, and these cameras would then be one: {', '.join(found)}.")
    return found


def frames_per_second(spec: ExperienceSpec) -> int:
    """Return the control rate as a whole number."""
    return max(1, round(1 / spec.control_dt_s))


def features_of(spec: ExperienceSpec, *, video: bool, gripper: GripperForm) -> Features:
    """Describe the columns of a dataset.

    Raises:
        HilserlError: an image has an odd side, which video cannot have.
    """

    def feature(dtype: str, shape: tuple[int, ...], names: list[str] | None = None) -> dict[str, Any]:
        return {"dtype": dtype, "shape": list(shape), "names": names}

    entries = [f"{e.name}.{i}" if e.size > 1 else e.name for e in spec.state.entries for i in range(e.size)]
    action = feature("float32", (spec.action.size,), list(spec.action.names))
    found = {"observation.state": feature("float32", (spec.state.size,), entries), "action": action}
    if gripper == "classes":
        found[SIGNED_ACTION] = action
    fps = frames_per_second(spec)
    shapes = dict(spec.images)
    for camera, name in image_features(spec).items():
        height, width, _ = shapes[camera]
        if video and (height % 2 or width % 2):
            raise HilserlError(f"Camera {camera!r} has images of {height} x {width}; video needs even sides. Use png.")
        found[name] = feature("video" if video else "image", shapes[camera], ["height", "width", "channels"])
        found[name]["info"] = video_info(height, width, fps) if video else {"is_depth_map": False}
    found |= {name: feature(dtype, (1,)) for name, (dtype, _) in PER_STEP.items()}
    found["next.done"] = feature("bool", (1,))
    if spec.action.grippers:
        found[PENALTY] = feature("float32", (1,), ["discrete_penalty"])
    return found | {name: feature(dtype, (1,)) for name, dtype in INDICES.items()}


def data_schema(features: Features) -> pa.Schema:
    """Make the Arrow schema of the data files."""
    fields = []
    for name, feature in features.items():
        if feature["dtype"] == "image":
            fields.append(pa.field(name, IMAGE))
        elif feature["dtype"] != "video":
            kind, size = _ARROW[feature["dtype"]], feature["shape"][0]
            is_vector = name in ("observation.state", "action", SIGNED_ACTION)
            fields.append(pa.field(name, pa.list_(kind, size) if is_vector else kind))
    images = [name for name, feature in features.items() if feature["dtype"] == "image"]
    return pa.schema(fields, metadata=huggingface_metadata(images))


def episodes_schema(features: Features) -> pa.Schema:
    """Make the Arrow schema of the table of episodes."""
    integers = ["data/chunk_index", "data/file_index", "dataset_from_index", "dataset_to_index"]
    integers += ["meta/episodes/chunk_index", "meta/episodes/file_index"]
    fields = [pa.field("episode_index", pa.int64()), pa.field("tasks", pa.list_(pa.string()))]
    fields += [pa.field("length", pa.int64()), *(pa.field(name, pa.int64()) for name in integers)]
    for name, feature in features.items():
        if feature["dtype"] == "video":
            fields += [pa.field(f"videos/{name}/{part}_index", pa.int64()) for part in ("chunk", "file")]
            fields += [pa.field(f"videos/{name}/{end}_timestamp", pa.float64()) for end in ("from", "to")]
        values: pa.DataType = pa.list_(pa.float64())
        if feature["dtype"] in ("image", "video"):
            values = pa.list_(pa.list_(values))
        fields += [pa.field(f"stats/{name}/{key}", values) for key in ("min", "max", "mean", "std", *QUANTILES)]
        fields.append(pa.field(f"stats/{name}/count", pa.list_(pa.int64())))
    return pa.schema(fields)


def tasks_table(tasks: list[str]) -> pa.Table:
    """Make the table of tasks.

    Its metadata makes `task` the index in pandas.
    """

    def column(name: str, pandas: str, numpy: str) -> dict[str, Any]:
        return {"name": name, "field_name": name, "pandas_type": pandas, "numpy_type": numpy, "metadata": None}

    columns = [column("task_index", "int64", "int64"), column("task", "unicode", "object")]
    described = {"index_columns": ["task"], "column_indexes": [], "columns": columns}
    table = pa.table({"task_index": pa.array(range(len(tasks)), pa.int64()), "task": pa.array(tasks, pa.string())})
    return table.replace_schema_metadata({b"pandas": json.dumps(described).encode()})


def info_of(features: Features, fps: int, counts: Mapping[str, int]) -> dict[str, Any]:
    """Make the content of `info.json`.

    Args:
        features: the columns.
        fps: images a second.
        counts: `total_episodes`, `total_frames` and `total_tasks`.
    """
    has_video = any(feature["dtype"] == "video" for feature in features.values())
    return {
        "codebase_version": VERSION,
        "robot_type": "hilserl",
        **counts,
        "chunks_size": FILES_PER_CHUNK,
        "data_files_size_in_mb": DATA_FILE_MB,
        "video_files_size_in_mb": VIDEO_FILE_MB,
        "fps": fps,
        "splits": {"train": f"0:{counts['total_episodes']}"},
        "data_path": f"data/{FILE}.parquet",
        "video_path": f"videos/{{video_key}}/{FILE}.mp4" if has_video else None,
        "features": features,
    }
