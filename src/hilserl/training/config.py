"""Settings of a training run."""

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
from hilserl.envs.gymnasium_expert import expert_of
from hilserl.envs.make import canonical_name, is_gymnasium_id
from hilserl.envs.options import RewardName
from hilserl.errors import HilserlError, unknown
from hilserl.operators.config import ConsoleConfig, DeviceName
from hilserl.operators.profiles import ProfileOption
from hilserl.operators.simulated import SimulatedOperatorConfig
from hilserl.settings import AtLeastOne, Count, NotNegative, Positive, check_settings
from hilserl.training.algorithms import ALGORITHMS, canonical_algorithm, is_algorithm_file

_FOREIGN: dict[str, object] = {
    "reward": "dense",
    "max_env_steps": 20_000,
    "eval_every": 1_000,
    "eval_episodes": 20,
    "agent.discount": 0.95,
    # Their actions may be positions, which no sum makes sense of.
    "agent.imitated_motions": 1,
}
"""Default settings of an environment of another package."""
_WITH_EXPERT: dict[str, object] = {
    "operator": "scripted",
    "demonstrations": 20,
    "reward": "success",
}
"""Default settings of one that has an expert, beside those."""

OperatorName = Literal["scripted", DeviceName, "none"]
"""A simulated operator, a human operator by device, or no operator."""


@dataclass(frozen=True)
class TrainConfig:
    """Settings of a training run.

    Together with the code and the machine's arithmetic they decide every number of a run in lockstep.
    """

    env: EnvConfig
    """Environment of the actor; evaluations and the run's own demonstrations are simulated."""
    algorithm: Annotated[str, tyro.conf.arg(metavar="{" + ",".join(ALGORITHMS) + "}|FILE.py:CLASS")] = "rlpd"
    """Learning algorithm.
    rlpd learns from demonstrations, interventions and experience (HIL-SERL), sac from experience alone, hg-dagger
    clones demonstrations and interventions, bc clones demonstrations, rlif is rlpd with interventions as its only
    reward. A class of your own is FILE.py:CLASS."""
    operator: OperatorName = "scripted"
    """Operator who watches the policy and takes over.
    scripted is simulated; console, gamepad, spacemouse, phone and lerobot are a human's; none leaves the policy
    alone."""
    console: ConsoleConfig = field(default_factory=ConsoleConfig)
    """The human operator's console and devices."""
    demos: tuple[Path, ...] = ()
    """Directories of recorded demonstrations."""
    demonstrations: Count = 20
    """Successful episodes that the simulated operator records first, without --demos."""
    init_from: Annotated[Path | None, tyro.conf.arg(metavar="RUN")] = None
    """Run to start from, instead of random weights.
    Its best checkpoint gives the weights. Nothing is cloned before acting."""
    init_experience: bool = False
    """Learn also from the episodes of the run to start from.
    Its demonstrations come along if there are no --demos."""
    cloning_updates: AtLeastOne = 10_000
    """Behaviour-cloning updates.
    hg-dagger and rlpd with a cloning weight do them before they act, bc does nothing else."""
    reward: Literal["success", "dense", "classifier", "human"] = "success"
    """Reward to learn from.
    success is 1 when the task is done, dense is the task's shaped reward or another package's own, classifier decides
    from camera images, human lets the operator decide. Evaluations always count the task's own success."""
    classifier: Path | None = None
    """File of the reward classifier, written by `hilserl classifier`."""
    seed: Count = 0
    """Seed of everything random in the run."""
    free_running: Annotated[bool, tyro.conf.arg(name="async")] = False
    """Run actor and learner as two processes instead of in lockstep."""
    actor_hz: Positive = 20.0
    """Control steps a second of a free-running actor. It slows down for a slow learner."""
    max_update_steps_per_env_step: Positive = 8.0
    """Most update steps to an environment step. Beyond it a free-running learner waits for its actors."""
    max_env_steps: AtLeastOne = 8_000
    """Environment steps at which the run ends."""
    max_minutes: Positive = 60.0
    """Minutes at which the run ends, time before a resume included."""
    training_starts: Count = 100
    """Environment steps before the first update step."""
    update_steps_per_env_step: NotNegative = 2.0
    """Update steps to an environment step. Free-running, the machine may do fewer."""
    replay_capacity: AtLeastOne = 200_000
    """Environment steps that the replay holds."""
    eval_every: AtLeastOne = 500
    """Environment steps between evaluations; each writes a checkpoint."""
    eval_episodes: AtLeastOne = 100
    """Most episodes of an evaluation."""
    eval_max_failures: AtLeastOne | None = 10
    """Failed episodes that end an evaluation early; None runs all episodes. The final evaluation never ends early."""
    solved_evaluations: Count = 1
    """Evaluations in a row without failure that end the run. 0 never ends it early."""
    final_eval_episodes: AtLeastOne = 100
    """Episodes of the final evaluation of the best checkpoint."""
    keep_checkpoints: AtLeastOne = 3
    """Newest checkpoints to keep beside the best one."""
    video: bool = True
    """Write a video of the final policy."""
    agent: AgentConfig = field(default_factory=AgentConfig)
    """Networks, losses and optimizer."""
    simulated_operator: ProfileOption = field(default_factory=SimulatedOperatorConfig)
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
        return dataclasses.replace(self.env, backend="sim", reward=self._own_reward)

    @property
    def _own_reward(self) -> RewardName | None:
        """Reward that is not the environment's usual one.

        Another package's environment ends at a success only if that is what the policy learns from.
        """
        return "sparse" if is_gymnasium_id(self.task) and self.reward == "success" else self.env.reward

    @property
    def recorded_env(self) -> EnvConfig:
        """The simulated environment of the learner's own demonstrations."""
        return dataclasses.replace(self.simulated_env, cameras=self.recorded_cameras)

    def __post_init__(self) -> None:
        """Check ranges, then the settings that depend on each other."""
        check_settings(self)
        object.__setattr__(self, "algorithm", canonical_algorithm(self.algorithm))
        if is_gymnasium_id(self.task):
            self._check_foreign()
        self._check_reward()
        self._check_algorithm()
        if self.init_experience and self.init_from is None:
            raise HilserlError("--init-experience needs the run whose experience it is: --init-from RUN.")

    def _check_reward(self) -> None:
        if (self.reward == "classifier") != (self.classifier is not None):
            raise HilserlError(
                f"--reward classifier and --classifier FILE go together, got reward {self.reward!r} and classifier "
                f"{str(self.classifier)!r}."
            )
        if self.reward == "classifier" and self.env.obs != "pixels":
            raise HilserlError("A classifier sees camera images: --reward classifier needs --obs pixels.")
        if cropped := sorted(set(self.env.crop) & set(self._reward_cameras)):
            raise HilserlError(
                f"The classifier sees the whole view of its cameras, which are {', '.join(self._reward_cameras)}; "
                f"--env.crop narrows {', '.join(cropped)}."
            )
        if self.reward == "human" and self.operator == "none":
            raise HilserlError("--reward human needs an operator who decides on success, got --operator none.")

    def _check_algorithm(self) -> None:
        if is_algorithm_file(self.algorithm):
            return  # to read settings runs no code that they name
        algorithm = ALGORITHMS[self.algorithm]
        if algorithm.needs_demonstrations and not (self.demos or self.demonstrations):
            raise HilserlError(
                f"{self.algorithm} clones demonstrations, and there are none: name recorded ones with --demos, or "
                f"choose at least 1 with --demonstrations, got {self.demonstrations}."
            )
        if self.demos and not algorithm.takes_demonstrations:
            raise HilserlError(
                f"{self.algorithm} does not learn from demonstrations, got demos {self.demos}; choose rlpd."
            )
        if not algorithm.acts and (self.free_running or self.operator not in ("scripted", "none")):
            raise HilserlError(
                f"{self.algorithm} does not act: it takes neither --async nor --operator {self.operator}."
            )

    def _check_foreign(self) -> None:
        """Refuse settings that need a script or a task's own cameras."""
        has_expert = bool(expert_of(self.task, self.env.expert))
        if self.operator == "scripted" and not has_expert:
            raise HilserlError(
                f"{self.task} has no script that could operate; choose --operator none, a human operator, or a script "
                "of your own, --expert FILE.py:FUNCTION."
            )
        if self.demonstrations and not self.demos and not has_expert:
            raise HilserlError(
                f"{self.task} has no script that could demonstrate, got demonstrations {self.demonstrations}: record "
                f"some with hilserl record {self.task} --operator console, and name them with --demos, or name a "
                "script of your own, --expert FILE.py:FUNCTION."
            )
        if self.reward == "classifier":
            raise HilserlError(f"{self.task} has no labelled images for a classifier; choose another --reward.")

    @property
    def _reward_cameras(self) -> tuple[str, ...]:
        return tasks.find(self.task).reward_cameras if self.reward == "classifier" else ()

    @property
    def _policy_cameras(self) -> tuple[str, ...]:
        """Cameras of the policy: named ones, or by default the environment's."""
        return self.env.cameras or (() if is_gymnasium_id(self.task) else tasks.find(self.task).cameras)

    @property
    def recorded_cameras(self) -> tuple[str, ...]:
        """Cameras of the policy and of the reward classifier."""
        return tuple(dict.fromkeys((*self._policy_cameras, *self._reward_cameras)))

    def classifier_spec(self, spec: ExperienceSpec) -> ExperienceSpec:
        """Return the part of the recorded experience that the reward classifier sees."""
        return spec.only(self._reward_cameras) if self._reward_cameras else spec

    def policy_spec(self, spec: ExperienceSpec) -> ExperienceSpec:
        """Return the part of the recorded experience that the policy sees."""
        return spec.only(self._policy_cameras) if self._policy_cameras else spec

    @property
    def judged(self) -> bool:
        """True if a classifier or the operator decides on success."""
        return self.reward in ("classifier", "human")


CHANGEABLE_ON_RESUME = (
    "env.backend",
    "env.robot",
    "env.python",
    "env.timeout_s",
    "operator",
    "simulated_operator",
    "console",
    "classifier",
    "max_env_steps",
    "max_minutes",
    "final_eval_episodes",
    "solved_evaluations",
    "keep_checkpoints",
    "video",
)
"""Settings that may change when a run is resumed."""


def preset(task: str) -> TrainConfig:
    """Return the settings that a task is trained with by default.

    Raises:
        HilserlError: the task does not exist, or its preset names a setting that does not.
    """
    if is_gymnasium_id(task):
        env = EnvConfig(task=canonical_name(task))
        settings = _FOREIGN | (_WITH_EXPERT if expert_of(task, None) else {})
        return with_settings(TrainConfig(env, operator="none", demonstrations=0), settings)
    entry = tasks.find(task)
    env = EnvConfig(task=canonical_name(task), obs="pixels", cameras=entry.cameras, frame=entry.frame)
    return with_settings(TrainConfig(env), entry.preset.settings)


_Config = TypeVar("_Config")


def with_settings(config: _Config, settings: Mapping[str, object]) -> _Config:
    """Return a configuration with new values of settings named by dotted paths.

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
