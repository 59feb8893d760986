"""Labelling of images, in whole episodes with a label at every step."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path

from typing_extensions import override

from hilserl.data.episode_summary import EpisodeSummary, summarise
from hilserl.data.episodes import episode_files, read_episode
from hilserl.data.fingerprint import fingerprint
from hilserl.data.spec import ExperienceSpec
from hilserl.data.step import Step
from hilserl.data.subscriber import Subscriber
from hilserl.envs.env import InteractiveEnv, require_supervision
from hilserl.errors import HilserlError
from hilserl.operators.operator import Operator
from hilserl.operators.simulated_labeller import SimulatedLabeller
from hilserl.rollout.recording import hold_still
from hilserl.rollout.rollout import EpisodeSeeds, Rollout
from hilserl.runs.run_dir import EpisodeWriter, RunDir, read_episodes

EPISODES_WITHOUT_SUCCESS = 50
"""Episodes after which a simulated labeller without any success gives up."""


class LabelRecorder(Subscriber):
    """Writer of labelled episodes, with a count of both labels.

    Args:
        directory: the episodes' directory; labelling goes on after the episodes that it has.
        spec: layout of the experience.
        wanted: steps labelled as success to record; None has no end.
    """

    def __init__(self, directory: Path, spec: ExperienceSpec, wanted: int | None = None) -> None:
        self._writer, self.wanted = EpisodeWriter(directory, spec), wanted
        self.episodes = self.next_episode = self._kept_positives = self._kept_negatives = 0
        self._positives = self._negatives = 0
        self.known: set[str] = set()
        """Fingerprints of the labelled episodes."""
        if directory.exists():
            for steps in read_episodes(directory, spec):
                self._count(steps)
                self._keep(steps)

    @property
    def positives(self) -> int:
        """Steps labelled as success, the episode in progress included."""
        return self._kept_positives + self._positives

    @property
    def negatives(self) -> int:
        """All other steps, the episode in progress included."""
        return self._kept_negatives + self._negatives

    @property
    def is_complete(self) -> bool:
        """True if there are as many steps labelled as success as wanted."""
        return self.wanted is not None and self.positives >= self.wanted

    def _count(self, steps: Sequence[Step]) -> None:
        labels = [step.success for step in steps if not step.is_reset]
        self._positives += sum(labels)
        self._negatives += len(labels) - sum(labels)

    def _keep(self, steps: Sequence[Step]) -> None:
        self.episodes += 1
        self.known.add(fingerprint(steps))
        self.next_episode = steps[0].episode + 1
        self._kept_positives, self._kept_negatives = self.positives, self.negatives
        self._positives = self._negatives = 0

    @override
    def on_step(self, step: Step) -> None:
        self._count([step])

    @override
    def on_episode(self, steps: Sequence[Step], summary: EpisodeSummary) -> None:
        self._writer.on_episode(steps, summary)
        self._keep(steps)

    @override
    def on_discard(self, episode: int) -> None:
        self._positives = self._negatives = 0


def label(
    env: InteractiveEnv,
    operator: Operator,
    recorder: LabelRecorder,
    seed: int,
    *,
    stop: Callable[[], bool] = lambda: False,
    subscribers: Sequence[Subscriber] = (),
) -> None:
    """Let an operator drive and label until the recorder is complete.

    The episode in progress at the end is kept.

    Args:
        env: the environment; it must not end an episode by itself on success (`ends_on_success=False`).
        operator: who drives and labels.
        recorder: keeps the episodes.
        seed: decides how the episodes begin.
        stop: asked before every step.
        subscribers: told of every step besides the recorder.
    """
    seeds = EpisodeSeeds(seed, "label", recorder.next_episode)
    rollout = Rollout(env, operator, [recorder, *subscribers], seeds)
    policy = hold_still(env.experience.action.size)
    while not recorder.is_complete and not operator.done and not stop():
        rollout.step(policy)
    rollout.end_episode()


def label_by_script(
    env: InteractiveEnv,
    recorder: LabelRecorder,
    seed: int,
    stop: Callable[[], bool],
    give_up_after: int = EPISODES_WITHOUT_SUCCESS,
) -> None:
    """Let the simulated labeller drive, with the environment's success as the label.

    Args:
        env: the environment; it must not end an episode by itself on success.
        recorder: keeps the episodes.
        seed: decides the episodes and the labeller's hand.
        stop: asked before every step.
        give_up_after: episodes without any success.

    Raises:
        HilserlError: no episode had a success.
    """
    first, found = recorder.episodes, recorder.positives

    def stop_or_give_up() -> bool:
        tried = recorder.episodes - first
        if recorder.positives == found and tried >= give_up_after:
            raise HilserlError(
                f"No success in {tried} episodes of {env.experience.task}'s own expert: nothing to label."
            )
        return stop()

    label(
        env,
        SimulatedLabeller(require_supervision(env), env.experience.action, seed),
        recorder,
        seed,
        stop=stop_or_give_up,
    )


def label_recorded(directory: Path, task: str, out: Path, *, show: Callable[[LabelRecorder], object]) -> LabelRecorder:
    """Label recorded episodes with what the environment knew of them.

    Args:
        directory: recorded episodes, or a run.
        task: name of the task.
        out: directory of the labelled episodes; an episode that it has already is passed over.
        show: called after every episode.

    Raises:
        HilserlError: there is no episode, or one is of another task or without images.
    """
    recorder = None
    for steps, spec in _recorded(directory):
        if spec.task != task or not spec.images:
            raise HilserlError(
                f"{directory} holds task {spec.task!r} with cameras {[name for name, _ in spec.images]}; expected task "
                f"{task!r} with images (record with --obs pixels)."
            )
        recorder = recorder or LabelRecorder(out, spec)
        if fingerprint(steps) in recorder.known:
            continue
        steps = [replace(step, episode=recorder.next_episode, success=step.truth) for step in steps]
        for step in steps:
            recorder.on_step(step)
        recorder.on_episode(steps, summarise(steps))
        show(recorder)
    if recorder is None:
        raise HilserlError(f"There are no recorded episodes in {directory}.")
    return recorder


def _recorded(directory: Path) -> Iterator[tuple[list[Step], ExperienceSpec]]:
    """Read episodes one by one. All images together may need more memory than there is."""
    run_dir = RunDir(directory)
    yield from map(read_episode, episode_files(run_dir.episodes if run_dir.episodes.is_dir() else directory))
