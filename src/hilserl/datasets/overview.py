"""Summary of a recording."""

from collections import Counter
from dataclasses import dataclass, field

from hilserl.datasets.source import EpisodeView, Source
from hilserl.errors import HilserlError


@dataclass
class Overview:
    """Counts of a recording's episodes."""

    kind: str
    tasks: Counter[str] = field(default_factory=Counter)
    """Episodes of each task."""
    episodes: int = 0
    unreadable: int = 0
    """Episodes that cannot be read."""
    steps: int = 0
    successes: int = 0
    judged: int = 0
    """Episodes of which the recording tells if they succeeded."""
    operator_steps: int = 0
    attributed_steps: int = 0
    """Steps of which the recording tells who acted."""
    shortest: int = 0
    longest: int = 0
    """Steps of the shortest and the longest episode."""
    state_size: int = 0
    action_size: int = 0
    action_names: tuple[str, ...] = ()
    cameras: dict[str, tuple[int, ...]] = field(default_factory=dict)
    """Shape of each camera's images in the first episode."""
    control_dt_s: float | None = None

    @property
    def seconds(self) -> float | None:
        """Length of all episodes."""
        return None if self.control_dt_s is None else self.steps * self.control_dt_s

    def add(self, view: EpisodeView) -> None:
        """Count an episode."""
        if not self.episodes:
            self.cameras = {name: next(images()).shape for name, images in view.images.items()}
        self.tasks[view.task or "not named"] += 1
        self.shortest = min(self.shortest or view.steps, view.steps)
        self.longest = max(self.longest, view.steps)
        self.episodes += 1
        self.steps += view.steps
        self.judged += view.success is not None
        self.successes += bool(view.success)
        if view.intervened is not None:
            self.attributed_steps += view.steps
            self.operator_steps += int(view.intervened.sum())
        self.action_names, self.action_size = view.action_names, view.action.shape[1]
        self.state_size = 0 if view.state is None else view.state.shape[1]

    def lines(self) -> list[tuple[str, str]]:
        """Return labels and values for people."""
        unknown = "the recording does not tell"
        dt, seconds = self.control_dt_s, self.seconds
        names = f": {', '.join(self.action_names)}" if self.action_names else ""
        cameras = ", ".join(f"{name} {shape[0]} x {shape[1]}" for name, shape in self.cameras.items())
        acted = f"{self.operator_steps} of {self.attributed_steps} steps by the operator"
        unreadable = f", and {self.unreadable} that cannot be read" if self.unreadable else ""
        length = unknown if dt is None or seconds is None else f"{seconds:.1f} s at {1 / dt:.4g} Hz"
        return [
            ("kind", self.kind),
            ("task", ", ".join(f"{task} ({count})" for task, count in self.tasks.items()) or unknown),
            ("episodes", f"{self.episodes}{unreadable}"),
            ("steps", f"{self.steps}; {self.shortest} to {self.longest} an episode"),
            ("length", length),
            ("successes", f"{self.successes} of {self.judged}" if self.judged else unknown),
            ("who acted", acted if self.attributed_steps else unknown),
            ("state", f"{self.state_size} numbers"),
            ("action", f"{self.action_size} numbers{names}"),
            ("cameras", cameras or "none"),
        ]


def overview(source: Source) -> Overview:
    """Summarise a recording; images are decoded of the first episode alone.

    Raises:
        HilserlError: the recording cannot be read, or holds no episode.
    """
    found = Overview(source.kind, control_dt_s=source.control_dt_s)
    first = next((view for view in source.episodes(images=True) if isinstance(view, EpisodeView)), None)
    for view in source.episodes(images=False):
        if isinstance(view, HilserlError):
            found.unreadable += 1
            continue
        found.add(first if first is not None and not found.episodes else view)
    if not found.episodes:
        raise HilserlError(f"{source.path} holds no episode that can be read.")
    return found
