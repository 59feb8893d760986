"""What a training run is told, and how that is kept beside the run and read back."""

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar, cast

import tyro

from hilserl import tasks
from hilserl.agents.agent import AgentConfig
from hilserl.data.spec import ExperienceSpec
from hilserl.envs.config import EnvConfig
from hilserl.envs.make import canonical_name, is_gymnasium_id
from hilserl.errors import HilserlError, unknown
from hilserl.operators.config import ConsoleConfig
from hilserl.operators.simulated import SimulatedOperatorConfig
from hilserl.training.algorithms import ALGORITHMS, AlgorithmName

_FOREIGN: dict[str, object] = {
    "reward": "dense",
    "max_env_steps": 20_000,
    "eval_every": 1_000,
    "eval_episodes": 20,
    "agent.discount": 0.98,
}
"""Default settings of an environment of another package."""

OperatorName = Literal["scripted", "console", "gamepad", "spacemouse", "none"]


@dataclass(frozen=True)
class TrainConfig:
    """A training run, whole: together with the code and the machine's arithmetic it decides every number."""

    env: EnvConfig
    """The environment; evaluations, and demonstrations that the learner makes for itself, are simulated."""
    algorithm: AlgorithmName = "rlpd"
    """What learns: soft actor-critic from demonstrations, interventions and experience (with an operator that is
    HIL-SERL), the same from experience alone, behaviour cloning of demonstrations and then of interventions, or of
    demonstrations alone, which does nothing in the environment."""
    operator: OperatorName = "scripted"
    """Who watches and takes over: a simulated person, a person at the console, perhaps with a device, or nobody."""
    console: ConsoleConfig = field(default_factory=ConsoleConfig)
    """The human operator's console and devices."""
    demos: tuple[Path, ...] = ()
    """Directories of recorded episodes to learn from."""
    demonstrations: int = 20
    """Where `demos` names none: how many successful episodes the simulated operator records first; sac takes none."""
    cloning_updates: int = 10_000
    """Updates of hg-dagger before it acts, and of rlpd where `agent.cloning_weight` is not 0; of bc in all."""
    reward: Literal["success", "dense", "classifier", "human"] = "success"
    """What says that the task is done: the task itself, plainly or in a shaped number (of another package's
    environment: its own reward), a classifier of camera images,
    or the operator. Evaluations count what the task itself says, whatever is learned from."""
    classifier: Path | None = None
    """The classifier's file, as `hilserl classifier` wrote it."""
    seed: int = 0
    free_running: Annotated[bool, tyro.conf.arg(name="async")] = False
    """Actor and learner as processes, each at its own pace, instead of in lockstep."""
    actor_hz: float = 20.0
    """Control rate of a free-running actor; lower where the learner cannot keep up with `update_steps_per_env_step`."""
    max_update_steps_per_env_step: float = 8.0
    """Where actor and learner run freely: the learner waits for its actors rather than do more rounds to a step."""
    max_env_steps: int = 8_000
    max_minutes: float = 60.0
    training_starts: int = 100
    """Online steps before the first learner round."""
    update_steps_per_env_step: float = 2.0
    """Learner rounds to one environment step: in lockstep always, where they run freely if the machine can."""
    replay_capacity: int = 200_000
    eval_every: int = 500
    """Environment steps between evaluations; each comes with a checkpoint."""
    eval_episodes: int = 50
    solved_evaluations: int = 2
    """End the run once this many evaluations in a row had no failure; 0 never ends it early."""
    final_eval_episodes: int = 100
    keep_checkpoints: int = 3
    """How many of the newest checkpoints to keep beside the best one."""
    agent: AgentConfig = field(default_factory=AgentConfig)
    simulated_operator: SimulatedOperatorConfig = field(default_factory=SimulatedOperatorConfig)
    """The simulated operator's hands and judgement."""

    @property
    def task(self) -> str:
        """The task's name, or `PACKAGE:ENV_ID`."""
        return self.env.task

    @property
    def acting_env(self) -> EnvConfig:
        """The environment that the actor acts in."""
        return dataclasses.replace(
            self.env,
            cameras=self.recorded_cameras,
            reward="dense" if self.reward == "dense" else "sparse",
            ends_on_success=not self.judged,
        )

    @property
    def simulated_env(self) -> EnvConfig:
        """The environment of evaluations."""
        return dataclasses.replace(self.env, backend="sim")

    @property
    def recorded_env(self) -> EnvConfig:
        """The simulated environment of the learner's own demonstrations."""
        return dataclasses.replace(self.simulated_env, cameras=self.recorded_cameras)

    def __post_init__(self) -> None:
        at_least_one = ("cloning_updates", "max_env_steps", "eval_every", "eval_episodes", "final_eval_episodes")
        for name in (*at_least_one, "keep_checkpoints"):
            if getattr(self, name) < 1:
                raise HilserlError(f"{name} must be at least 1, got {getattr(self, name)}.")
        for name in ("demonstrations", "training_starts", "solved_evaluations", "update_steps_per_env_step", "seed"):
            if getattr(self, name) < 0:
                raise HilserlError(f"{name} must not be negative, got {getattr(self, name)}.")
        for name in ("max_minutes", "actor_hz", "max_update_steps_per_env_step"):
            if getattr(self, name) <= 0:
                raise HilserlError(f"{name} must be positive, got {getattr(self, name)}.")
        if is_gymnasium_id(self.task):
            self._check_foreign()
        if (self.reward == "classifier") != (self.classifier is not None):
            raise HilserlError(
                f"--reward classifier and --classifier FILE go together, got reward {self.reward!r} and classifier "
                f"{str(self.classifier)!r}."
            )
        if self.reward == "classifier" and self.env.obs != "pixels":
            raise HilserlError("A classifier judges camera images: --reward classifier needs --obs pixels.")
        if cropped := sorted(set(self.env.crop) & set(self._reward_cameras)):
            raise HilserlError(
                f"The classifier judges the whole view of its cameras, which are {', '.join(self._reward_cameras)}; "
                f"--env.crop narrows {', '.join(cropped)}."
            )
        if self.reward == "human" and self.operator == "none":
            raise HilserlError("--reward human needs an operator who says what a success is, got --operator none.")
        algorithm = ALGORITHMS[self.algorithm]
        if algorithm.needs_demonstrations and not (self.demos or self.demonstrations):
            raise HilserlError(
                f"{self.algorithm} clones demonstrations, and there is none: name recorded ones with demos, or make "
                f"demonstrations at least 1, got {self.demonstrations}."
            )
        if self.demos and not algorithm.takes_demonstrations:
            raise HilserlError(f"{self.algorithm} learns from no demonstrations, got demos {self.demos}; take rlpd.")
        if not algorithm.acts and (self.free_running or self.operator not in ("scripted", "none")):
            raise HilserlError(f"{self.algorithm} does not act: it takes neither async nor operator {self.operator!r}.")

    def _check_foreign(self) -> None:
        """What needs a script, or a task's own cameras, is not to be had in an environment of another package."""
        if self.operator == "scripted":
            raise HilserlError(f"{self.task} has no script that could operate; take --operator none, or a person.")
        if self.demonstrations and not self.demos:
            raise HilserlError(
                f"{self.task} has no script that could demonstrate, got demonstrations {self.demonstrations}: record "
                f"some with hilserl record {self.task} --operator console, and name them with --demos."
            )
        if self.reward == "classifier":
            raise HilserlError(f"{self.task} is no task that a classifier was labelled for; take another --reward.")

    @property
    def _reward_cameras(self) -> tuple[str, ...]:
        return tasks.find(self.task).reward_cameras if self.reward == "classifier" else ()

    @property
    def _seen_cameras(self) -> tuple[str, ...]:
        """What the policy sees; none named is what the task shows, or all that another package's environment does."""
        return self.env.cameras or (() if is_gymnasium_id(self.task) else tasks.find(self.task).cameras)

    @property
    def recorded_cameras(self) -> tuple[str, ...]:
        """What the policy sees, and what a classifier judges by beside it."""
        return tuple(dict.fromkeys((*self._seen_cameras, *self._reward_cameras)))

    def classifier_spec(self, spec: ExperienceSpec) -> ExperienceSpec:
        """What of the recorded experience a classifier sees; all of it where there is none."""
        return spec.only(self._reward_cameras) if self._reward_cameras else spec

    def policy_spec(self, spec: ExperienceSpec) -> ExperienceSpec:
        """What of the recorded experience the policy sees."""
        return spec.only(self._seen_cameras) if self._seen_cameras else spec

    @property
    def judged(self) -> bool:
        """Whether something other than the task itself says that it is done."""
        return self.reward in ("classifier", "human")


CHANGEABLE_ON_RESUME = (
    "env.backend",
    "env.robot",
    "operator",
    "console",
    "classifier",
    "max_env_steps",
    "max_minutes",
    "final_eval_episodes",
    "solved_evaluations",
    "keep_checkpoints",
)


def preset(task: str) -> TrainConfig:
    """Return the settings that a task is trained with by default.

    Raises:
        HilserlError: the task does not exist, or its preset names a setting that does not.
    """
    if is_gymnasium_id(task):
        env = EnvConfig(task=canonical_name(task))
        return with_settings(TrainConfig(env, operator="none", demonstrations=0), _FOREIGN)
    entry = tasks.find(task)
    env = EnvConfig(task=entry.name, obs="pixels", cameras=entry.cameras, frame=entry.frame)
    return with_settings(TrainConfig(env), entry.preset.settings)


_Config = TypeVar("_Config")


def with_settings(config: _Config, settings: Mapping[str, object]) -> _Config:
    """Return a configuration with other values of some settings, named by their dotted paths.

    Raises:
        HilserlError: a setting does not exist.
    """
    names = {each.name for each in dataclasses.fields(cast("Any", config))}
    changes: dict[str, Any] = {}
    inner: dict[str, dict[str, object]] = {}
    for name, value in settings.items():
        first, _, rest = name.partition(".")
        if first not in names or (rest and not dataclasses.is_dataclass(getattr(config, first))):
            raise unknown(f"setting of {type(config).__name__}", name, names)
        if rest:
            inner.setdefault(first, {})[rest] = value
        else:
            changes[first] = value
    changes |= {first: with_settings(getattr(config, first), rest) for first, rest in inner.items()}
    return dataclasses.replace(cast("Any", config), **changes)
