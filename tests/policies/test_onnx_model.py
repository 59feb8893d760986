"""Policies as ONNX act as in JAX, where the extra is installed."""

import dataclasses
import importlib
import importlib.util
import logging
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from hilserl.errors import HilserlError
from hilserl.policies.exported import ExportedPolicy, export_policy, read_policy
from hilserl.policies.onnx_model import onnx_model
from hilserl.vision.frame_encoder import VisionConfig
from tests.support.policies import CASES, TOLERANCE, drawn_observation, made_policy, random_policy
from tests.support.runs import config

HAS_EXPORTER = importlib.util.find_spec("jax2onnx") is not None
with_exporter = pytest.mark.skipif(not HAS_EXPORTER, reason="needs the extra onnx")


@pytest.fixture(autouse=True)
def levels() -> Iterator[None]:
    yield
    logging.getLogger("onnx_ir").setLevel(logging.NOTSET)


@with_exporter
@pytest.mark.filterwarnings("ignore")  # of the exporter's own packages
@pytest.mark.parametrize("runtime", ["reference", "onnxruntime"])
@pytest.mark.parametrize("case", CASES)
def test_actions_of_a_batch_equal_those_of_the_jax_actor(tmp_path: Path, case: str, runtime: str) -> None:
    evaluator, onnxruntime = (importlib.import_module(name) for name in ("onnx.reference", "onnxruntime"))
    exported = made_policy(case)
    export_policy(tmp_path / "out", exported, onnx=True)
    assert read_policy(tmp_path / "out").spec == exported.spec
    path = str(tmp_path / "out" / "policy.onnx")
    model: Any = evaluator.ReferenceEvaluator(path) if runtime == "reference" else onnxruntime.InferenceSession(path)
    policy, state = exported.policy, exported.spec.state.size
    observations = [drawn_observation(policy.frame_encoder.inputs, state, seed) for seed in range(20)]
    feed = {name: np.stack([each[name] for each in observations]).astype(np.float32) for name in observations[0]}
    (actions,) = model.run(["action"], feed)
    assert np.abs(actions - np.stack([policy.act(each) for each in observations])).max() < TOLERANCE


def test_missing_exporter_is_named_and_nothing_is_left(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("hilserl.policies.onnx_model.importlib.util.find_spec", lambda _: None)
    with pytest.raises(HilserlError, match=r"pip install 'hilserl\[onnx\]'"):
        export_policy(tmp_path / "out", made_policy("state"), onnx=True)
    assert not list(tmp_path.iterdir())


def test_trained_image_encoder_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("hilserl.policies.onnx_model.importlib.util.find_spec", lambda _: "found")
    spec, _ = CASES["frequencies"]
    vision = VisionConfig(encoder="small_cnn", encode="every_update")
    settings = dataclasses.replace(config(), agent=dataclasses.replace(config().agent, vision=vision))
    exported = ExportedPolicy(settings, spec, random_policy(spec, settings), {})
    with pytest.raises(HilserlError, match="is trained with it"):
        onnx_model(exported.policy)
