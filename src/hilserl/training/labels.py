"""Labelled images: whole episodes in which every step says whether a person saw success in it."""

from collections.abc import Callable, Sequence
from pathlib import Path

from hilserl.experience import ExperienceSpec, Step
from hilserl.operators.operator import Operator
from hilserl.sim.environment import ManipulationEnv
from hilserl.training.record import hold_still
from hilserl.training.rollout import EpisodeSummary, Rollout, Subscriber
from hilserl.training.rundir import EpisodeWriter, read_episodes


class LabelKeeper:
    """A rollout's subscriber that counts labelled steps and keeps every episode that is not discarded."""

    def __init__(self, folder: Path, spec: ExperienceSpec) -> None:
        self._writer = EpisodeWriter(folder, spec)
        self.next_episode = self._kept_positives = self._kept_negatives = 0
        self._positives = self._negatives = 0
        if folder.exists():
            for steps in read_episodes(folder, spec):
                self._count(steps)
                self.next_episode = steps[0].episode + 1
        self._keep()

    @property
    def positives(self) -> int:
        """Steps called a success, of the episode in progress as well."""
        return self._kept_positives + self._positives

    @property
    def negatives(self) -> int:
        """All other steps, of the episode in progress as well."""
        return self._kept_negatives + self._negatives

    def _count(self, steps: Sequence[Step]) -> None:
        labels = [step.success for step in steps if not step.is_reset]
        self._positives += sum(labels)
        self._negatives += len(labels) - sum(labels)

    def _keep(self) -> None:
        self._kept_positives, self._kept_negatives = self.positives, self.negatives
        self._positives = self._negatives = 0

    def on_step(self, step: Step) -> None:
        self._count([step])

    def on_episode(self, steps: Sequence[Step], summary: EpisodeSummary) -> None:
        self._writer.on_episode(steps, summary)
        self._keep()

    def on_discard(self, episode: int) -> None:
        del episode
        self._positives = self._negatives = 0


def label(
    env: ManipulationEnv,
    operator: Operator,
    keeper: LabelKeeper,
    successes: int,
    seed: int,
    *,
    subscribers: Sequence[Subscriber] = (),
    stop: Callable[[LabelKeeper], bool] = lambda keeper: False,  # noqa: ARG005
) -> None:
    """Lets an operator drive and label until `successes` steps are labelled so, or somebody wants to stop.

    The environment must not end an episode by itself when the task is done (`ends_on_success=False`). The episode in
    progress at the end is kept.
    """
    spec = env.experience
    rollout = Rollout(env, spec, operator, [keeper, *subscribers], seed, "label", keeper.next_episode)
    policy = hold_still(spec.action.size)
    while keeper.positives < successes and not operator.done and not stop(keeper):
        rollout.step(policy)
    rollout.end_episode()
