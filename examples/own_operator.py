"""Write an operator, and record episodes in which it takes over.

python examples/own_operator.py --out episodes
"""

import argparse
from pathlib import Path

import numpy as np

import hilserl
from hilserl.envs.env import Supervision, require_supervision
from hilserl.operators.takeover import GripperRequest
from hilserl.rollout.recording import hold_still
from hilserl.rollout.rollout import EpisodeSeeds, Rollout
from hilserl.runs.run_dir import EpisodeWriter


class PatientOperator(hilserl.Operator):
    """Operator that waits, then drives as the task's script does."""

    def __init__(self, supervision: Supervision, patience_steps: int = 10) -> None:
        self._supervision, self._patience_steps = supervision, patience_steps
        self._steps = 0

    def begin_episode(self, episode: int) -> None:
        """Start to count the steps."""
        del episode
        self._steps = 0

    def intent(self) -> hilserl.OperatorIntent:
        """Return no intervention, or a motion and a request to the gripper."""
        self._steps += 1
        if self._steps <= self._patience_steps:
            return hilserl.OperatorIntent(engaged=False)
        *motion, gripper = self._supervision.expert_action()
        return hilserl.OperatorIntent(True, tuple(map(float, motion)), (GripperRequest(int(np.sign(gripper))),))


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--steps", type=int, default=100)
    arguments = parser.parse_args()

    env = hilserl.make_env(hilserl.EnvConfig(task="pick_cube"))
    writer = EpisodeWriter(arguments.out, env.experience)
    operator = PatientOperator(require_supervision(env))
    rollout = Rollout(env, operator, [writer], EpisodeSeeds(0, "example"))
    policy = hold_still(env.experience.action.size)
    for _ in range(arguments.steps):
        rollout.step(policy)
    rollout.end_episode()
    for steps in hilserl.read_episodes(arguments.out):
        human_steps = sum(step.intervened for step in steps)
        print(f"episode {steps[0].episode}: {human_steps} of {len(steps) - 1} steps by the operator")
