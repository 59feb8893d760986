"""Labelled images: whole episodes in which every step says whether a person saw success in it."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path

from hilserl.data.episode_summary import EpisodeSummary, summarise
from hilserl.data.episodes import episode_files, read_episode
from hilserl.data.spec import ExperienceSpec
from hilserl.data.step import Step
from hilserl.envs.env import InteractiveEnv, require_supervision
from hilserl.errors import HilserlError
from hilserl.operators.operator import Operator
from hilserl.operators.simulated_labeller import SimulatedLabeller
from hilserl.rollout.recording import hold_still
from hilserl.rollout.rollout import Rollout, Subscriber
from hilserl.runs.run_dir import EpisodeWriter, RunDir, read_episodes

_EPISODES_WITHOUT_SUCCESS = 50


class LabelKeeper:
    """A rollout's subscriber that counts labelled steps and keeps every episode that is not discarded."""

    def __init__(self, folder: Path, spec: ExperienceSpec) -> None:
        self._writer = EpisodeWriter(folder, spec)
        self.episodes = self.next_episode = self._kept_positives = self._kept_negatives = 0
        self._positives = self._negatives = 0
        if folder.exists():
            for steps in read_episodes(folder, spec):
                self._count(steps)
                self._keep(steps)

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

    def _keep(self, steps: Sequence[Step]) -> None:
        self.episodes += 1
        self.next_episode = steps[0].episode + 1
        self._kept_positives, self._kept_negatives = self.positives, self.negatives
        self._positives = self._negatives = 0

    def on_step(self, step: Step) -> None:
        self._count([step])

    def on_episode(self, steps: Sequence[Step], summary: EpisodeSummary) -> None:
        self._writer.on_episode(steps, summary)
        self._keep(steps)

    def on_discard(self, episode: int) -> None:
        del episode
        self._positives = self._negatives = 0


def label(
    env: InteractiveEnv,
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


def label_by_script(
    env: InteractiveEnv, keeper: LabelKeeper, successes: int, seed: int, *, stop: Callable[[LabelKeeper], bool]
) -> None:
    """Lets the simulated labeller drive; the environment's own predicate is the label.

    Raises HilserlError where success stays away.
    """
    begun, found = keeper.episodes, keeper.positives

    def watch(keeper: LabelKeeper) -> bool:
        tried = keeper.episodes - begun
        if keeper.positives == found and tried >= _EPISODES_WITHOUT_SUCCESS:
            raise HilserlError(
                f"No success in {tried} episodes of {env.experience.task}'s own expert: nothing to label."
            )
        return stop(keeper)

    label(
        env,
        SimulatedLabeller(require_supervision(env), env.experience.action, seed),
        keeper,
        successes,
        seed,
        stop=watch,
    )


def label_recorded(folder: Path, task: str, out: Path, *, show: Callable[[LabelKeeper], object]) -> LabelKeeper:
    """The episodes of a directory of recordings, or of a run, labelled by what the environment knew of them.

    Raises HilserlError where there are none, where they are of another task, or without images.
    """
    keeper = None
    for steps, spec in _recorded(folder):
        if spec.task != task or not spec.images:
            raise HilserlError(
                f"{folder} holds task {spec.task!r} with cameras {[name for name, _ in spec.images]}; expected task "
                f"{task!r} with images (record with --obs pixels)."
            )
        keeper = keeper or LabelKeeper(out, spec)
        steps = [replace(step, episode=keeper.next_episode, success=step.truth) for step in steps]
        for step in steps:
            keeper.on_step(step)
        keeper.on_episode(steps, summarise(steps))
        show(keeper)
    if keeper is None:
        raise HilserlError(f"There are no recorded episodes in {folder}.")
    return keeper


def _recorded(folder: Path) -> Iterator[tuple[list[Step], ExperienceSpec]]:
    """Episode by episode, since all their images together may be more than memory holds."""
    run = RunDir(folder)
    if run.episodes.is_dir():
        folder = run.episodes
    yield from map(read_episode, episode_files(folder))
