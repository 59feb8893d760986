"""A verb that reports the state of tool and cube.

It prints one line a step and writes no video.
"""

import json
import sys
from typing import Any

from hilserl.cli.main import main
from hilserl.data.step import Step
from hilserl.operators.console import keyboard, viewers
from hilserl.operators.console import session as console_session
from hilserl.training import actor, run, trainer


class ReportingSession(console_session.ConsoleSession):
    """A session that prints tool and cube after every step."""

    def on_step(self, step: Step) -> None:
        super().on_step(step)
        scene: Any = self._env.scene
        simulation = scene.simulation
        state = {
            "episode": step.episode,
            "index": step.index,
            "tcp": simulation.arm.tcp_position_m.tolist(),
            "cube": simulation.position_m("cube").tolist(),
            "held": simulation.held("cube"),
            "closed": simulation.arm.gripper_command < 0,
            "human": step.intervened,
        }
        print(json.dumps(state), flush=True)


class ReportingTrainer(trainer.Trainer):
    """A trainer that prints its end and the size of its prior data."""

    def _stop_reason(self) -> str | None:
        if reason := super()._stop_reason():
            print(f"ends: {reason}", flush=True)
        return reason

    def __exit__(self, *exception: object) -> None:
        super().__exit__(*exception)
        print(json.dumps({"prior": self._learner.facts.prior}), flush=True)


def replace_attribute(owner: Any, name: str, value: object) -> None:
    """Replace an attribute that exists."""
    assert hasattr(owner, name), f"{owner} has no {name}"
    setattr(owner, name, value)


# A page drawn in software on a busy machine is silent, and late, for longer than an operator's page.
replace_attribute(viewers, "SILENCE_S", 8.0)
replace_attribute(viewers, "PING_S", 60.0)
replace_attribute(keyboard, "CONFIRM_WITHIN_S", 30.0)
replace_attribute(console_session, "ConsoleSession", ReportingSession)
replace_attribute(actor, "ConsoleSession", ReportingSession)
replace_attribute(trainer, "Trainer", ReportingTrainer)
replace_attribute(run, "write_video", lambda *_: None)
sys.exit(main(sys.argv[1:]))
