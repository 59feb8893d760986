"""Learning methods of the benchmark.

A method is an algorithm with settings. Task, demonstrations, operator and evaluation are the same for all methods.
"""

import inspect
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

from hilserl.errors import unknown
from hilserl.training.algorithms import algorithm_label, find_algorithm, is_algorithm_file

PUBLISHED: Mapping[str, object] = MappingProxyType(
    {
        "update_steps_per_env_step": 1.0,
        "training_starts": 100,
        "agent.hidden": (256, 256),
        "agent.num_critics": 2,
        "agent.num_target_critics": 2,
        "agent.utd_ratio": 2,
        "agent.batch_size": 256,
        "agent.discount": 0.97,
        "agent.learning_rate": 3e-4,
        "agent.tau": 0.005,
        "agent.ema_rate": 1.0,
        "agent.initial_temperature": 0.01,
        "agent.target_entropy_per_action": -0.5,
        "agent.cloning_weight": 0.0,
        "agent.return_floor": False,
        "agent.gripper_penalty": 0.02,
        "agent.vision.goal_prediction": False,
    }
)
"""Constants of HIL-SERL's learner (arXiv 2410.21845, its published code).

Its learner runs freely; its simulated task names about 30,000 update steps an hour, which is one for each control step.
"""


@dataclass(frozen=True)
class Method:
    """A way of learning, with the settings in which it differs."""

    name: str
    summary: str
    settings: Mapping[str, object]
    """Settings by dotted names of `TrainConfig`; all others are the task's."""


_AS_DONE: Mapping[str, object] = MappingProxyType({"agent.imitated_motions": 1})
"""Settings of clones that imitate what the operator did."""

METHODS: Mapping[str, Method] = {
    method.name: method
    for method in (
        Method("bc", "behaviour cloning of the demonstrations", {**_AS_DONE, "algorithm": "bc"}),
        Method(
            "hg-dagger",
            "behaviour cloning of demonstrations and interventions",
            {**_AS_DONE, "algorithm": "hg-dagger"},
        ),
        Method("rlpd", "HIL-SERL's learner without interventions", {**PUBLISHED, "operator": "none"}),
        Method("hil-serl", "HIL-SERL as published", PUBLISHED),
        Method("hilserl", "this package's defaults", {}),
        Method("rlif", "HIL-SERL's learner, rewarded by interventions alone", {**PUBLISHED, "algorithm": "rlif"}),
    )
}
"""Methods by their name."""


def find_method(name: str) -> Method:
    """Return the method of a name, or of an algorithm `FILE.py:CLASS`.

    Raises:
        HilserlError: There is none; the message names those that exist.
    """
    if is_algorithm_file(name):
        algorithm = find_algorithm(name)
        summary = (inspect.getdoc(algorithm) or "").partition("\n")[0].rstrip(".")
        return Method(algorithm_label(name), summary, {**algorithm.benchmark_settings, "algorithm": name})
    if name not in METHODS:
        raise unknown("method", name, [*METHODS, "FILE.py:CLASS"])
    return METHODS[name]
