"""Runs a verb as the command line does, and tells on standard output, line by line, what its person's hand is doing.

It films nothing.
"""

import json
import sys
from typing import Any

import hilserl.operators.console.session as place
from hilserl.cli.main import main
from hilserl.operators.console import keyboard, viewers
from hilserl.training import actor, run
from hilserl.training import trainer as training


class Told(place.ConsoleSession):
    """The person's place, telling where the tool and the cube are after every step."""

    def on_step(self, step: Any) -> None:
        super().on_step(step)
        simulation = self._env.simulation
        told = {
            "episode": step.episode,
            "index": step.index,
            "tcp": simulation.arm.tcp_position_m.tolist(),
            "cube": simulation.position_m("cube").tolist(),
            "held": simulation.held("cube"),
            "closed": simulation.arm.gripper_command < 0,
            "human": step.intervened,
        }
        print(json.dumps(told), flush=True)


class ToldTrainer(training.Trainer):
    """A run that tells when its loop is over, and at its end what its learner holds as prior data."""

    def _stop_reason(self) -> str | None:
        if reason := super()._stop_reason():
            print(f"ends: {reason}", flush=True)
        return reason

    def __exit__(self, *exception: object) -> None:
        super().__exit__(*exception)
        print(json.dumps({"prior": self._learner.facts.prior}), flush=True)


# A page drawn in software on a busy machine may be silent, and late, for longer than a person's would.
viewers.SILENCE_S = 8.0
keyboard.CONFIRM_WITHIN_S = 30.0
place.ConsoleSession = Told
actor.ConsoleSession = Told
training.Trainer = ToldTrainer
run.write_video = lambda *_: None
sys.exit(main(sys.argv[1:]))
