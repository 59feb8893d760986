"""An actor's node asks the learner for its settings and can be interrupted meanwhile."""

import os
import signal
from pathlib import Path

import pytest

from hilserl.distributed.actor_node import ActorNodeConfig, fetch_run_config
from hilserl.distributed.credentials import Credentials
from hilserl.distributed.learner_client import LearnerClient
from hilserl.distributed.protocol import (
    Description,
)
from hilserl.training.config import preset
from hilserl.training.config_file import to_json
from hilserl.training.learner import LearnerFacts
from tests.support.loopback import ToyLearner


def test_fetch_run_config_remembers_ctrl_c_while_the_learner_answers(
    learner: ToyLearner, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def answer(line: LearnerClient) -> Description:
        del line
        os.kill(os.getpid(), signal.SIGINT)
        return Description("run", "", to_json(preset("pick_cube")), LearnerFacts(), 0)

    monkeypatch.setattr(LearnerClient, "describe", answer)
    with pytest.raises(KeyboardInterrupt):
        fetch_run_config(ActorNodeConfig(learner.address, Credentials(), tmp_path))
