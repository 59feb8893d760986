"""Export the policy of a run."""

import contextlib
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Annotated, Any

import tyro

from hilserl.cli.parsing import parse
from hilserl.policies.exported import ExportedPolicy, Precision, export_policy
from hilserl.policies.loading import load_policy
from hilserl.runs.checkpoint import read_state
from hilserl.runs.run_dir import RunDir


@dataclass(frozen=True)
class ExportArguments:
    """Export the policy of a run, without the rest of the run.

    The directory has the weights as safetensors, and a description of inputs, outputs and training as JSON. `hilserl
    eval` and `hilserl play --policy` take it as they take a run.
    """

    run_dir: Annotated[Path, tyro.conf.Positional]
    """Run directory of the policy."""
    out: Path
    """New directory of the exported policy."""
    checkpoint: str = "best"
    """Checkpoint: best, last, or its step."""
    precision: Precision = "float32"
    """Number format of the weights; float16 is half the size."""
    onnx: bool = False
    """Write policy.onnx as well; needs hilserl[onnx]."""


def run(words: Sequence[str]) -> int:
    """Write the policy to a directory."""
    arguments = parse("export", ExportArguments, words)
    run_dir = RunDir(arguments.run_dir)
    run_dir.require()
    loaded = load_policy(run_dir, arguments.checkpoint)
    with contextlib.closing(loaded.env):
        figures: dict[str, Any] = {"checkpoint": asdict(read_state(loaded.checkpoint))}
        if run_dir.result.is_file():
            figures["result"] = run_dir.read_result()
        exported = ExportedPolicy(loaded.config, loaded.env.experience, loaded.policy, figures)
        export_policy(arguments.out, exported, arguments.precision, onnx=arguments.onnx)
    print(f"Exported {loaded.checkpoint} to {arguments.out}.")
    return 0
