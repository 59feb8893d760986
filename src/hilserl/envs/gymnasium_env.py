"""Adapter of other packages' Gymnasium environments."""

import contextlib
import functools
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Any, cast

import gymnasium
import numpy as np
from typing_extensions import override

from hilserl.data.spec import ExperienceSpec, StateEntry, StateLayout, entry
from hilserl.envs.child.host import EnvRefusal, described, rendered
from hilserl.envs.child.packages import package_of
from hilserl.envs.env import InteractiveEnv, SceneView, success_info
from hilserl.envs.gymnasium_expert import ExpertEnv, ScriptedSupervision, demonstrate
from hilserl.envs.gymnasium_source import EnvSource
from hilserl.envs.gymnasium_spaces import ActionMap, Leaf, explored, leaves, told_at_ends
from hilserl.envs.options import EnvOptions
from hilserl.errors import HilserlError
from hilserl.images import letterboxed, resized

RENDERED = "rendered"
"""Camera of an environment without images: its own rendering."""
_SUCCESS = ("is_success", "success")
"""Names of success in `info`: Gymnasium-Robotics' name first, then others'."""
_USUAL_FPS = 10.0


@dataclass(frozen=True)
class _Form:
    """The properties of an environment, found before it is used."""

    actions: ActionMap
    """Conversion of actions."""
    numbers: tuple[Leaf, ...]
    images: tuple[Leaf, ...]
    entries: tuple[StateEntry, ...]
    """Entries of the state, made of the numbers."""
    told: frozenset[str]
    """Keys seen in `info`."""
    draws: bool
    """True if it has a rendering for people."""
    ends: bool = True
    """True if its episodes end by themselves."""
    reward_range: tuple[float, float] = (0.0, 0.0)
    """Least and greatest reward of its expert, if it has one."""


class GymnasiumEnv(InteractiveEnv):
    """An environment of another package.

    Its numbers become the state, one entry for each Box. Its images, in colour or grey, become cameras; without images
    its own rendering is the camera `rendered`. Parts that are neither are left out with a warning. Actions in [-1, 1]
    span the whole range of its Box. The length of a step follows from its `render_fps`. Making
    it acts in it at random (`gymnasium_spaces.explored`), so it must be simulated.

    Args:
        name: `PACKAGE:ENV_ID`; importing the package registers the id.
        options: "pixels" shows images beside the numbers. A "dense" reward is the environment's own; a "sparse" one is
            1 at a success, which then ends the episode. Cameras are some of its images, by default all of them.

    Raises:
        HilserlError: Package or environment does not exist, or its spaces are of another form.
    """

    is_judged_by_return = True

    def __init__(self, name: str, options: EnvOptions | None = None) -> None:
        options = options or EnvOptions()
        self.name, self.render_mode = name, "rgb_array"
        self._sparse, self._ends_on_success = options.reward == "sparse", options.ends_on_success
        source, known = EnvSource.of(name, options), package_of(name)
        self._form = _form_of(source)
        if not self._form.ends and options.max_episode_steps is None:
            raise HilserlError(
                f"{name} has no time limit, so an episode may never end. Give it one: --env.max-episode-steps N."
            )
        own_key = options.success_key or (known and known.success_key)
        self._success = (own_key,) if own_key else _SUCCESS
        self.tells_success = any(key in self._form.told for key in self._success)
        if self._sparse and self._ends_on_success and not self.tells_success:
            raise HilserlError(
                f"{name} does not say what a success is: none of {', '.join(self._success)} is in its info, which has "
                f"{', '.join(sorted(self._form.told)) or 'nothing'}. Name one with --env.success-key, or take its own "
                "reward, --reward dense."
            )
        closes_at = options.closes_at if options.closes_at is not None else (known.closes_at if known else {})
        self._actions = self._form.actions.with_grippers(name, closes_at)
        self._commands = np.ones(len(self._actions.closes_at))
        self._cameras = {leaf.name: leaf for leaf in self._form.images}
        shots = self._shots_of(options.obs, options.cameras)
        self._env = source.make(options.max_episode_steps)
        if self._env.spec is not None:
            self.return_to_reach = self._env.spec.reward_threshold
        expert = cast("ExpertEnv", self._env)
        ranges = self._form.reward_range
        self._supervision = ScriptedSupervision(expert, self._actions, ranges) if source.expert else None
        fps = float(self._env.metadata.get("render_fps") or _USUAL_FPS) / source.action_repeat
        self.experience = ExperienceSpec(
            name,
            StateLayout((*self._form.entries, *(entry(command, 1) for command in self._command_names))),
            self._actions.layout,
            tuple((camera, (options.image_size, options.image_size, 3)) for camera in shots),
            1 / fps,
        )
        self.metadata = {"render_modes": ["rgb_array"] if self._form.draws else [], "render_fps": fps}
        self._declare_spaces(-np.inf, np.inf)
        self._scene = RenderedScene(name, self._env if self._form.draws else None)
        self._seen: Any = None

    def _shots_of(self, obs: str, cameras: tuple[str, ...]) -> tuple[str, ...]:
        if obs == "state":
            return ()
        there = tuple(self._cameras) or ((RENDERED,) if self._form.draws else ())
        if not there:
            raise HilserlError(f"{self.name} has no images and draws none; choose obs='state'.")
        if missing := [camera for camera in cameras if camera not in there]:
            raise HilserlError(f"{self.name} has no camera {', '.join(missing)}. Available: {', '.join(there)}.")
        return cameras or there

    @override
    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
        super().reset(seed=seed)
        self._commands[:] = 1.0
        self._see(self._env.reset(seed=seed, options=options)[0])
        return self._observe(), success_info(False)

    @override
    def step(self, action: np.ndarray) -> tuple[dict[str, np.ndarray], float, bool, bool, dict[str, Any]]:
        its_own, self._commands = self._actions.obeyed(self._checked(action), self._commands)
        observation, reward, terminated, truncated, info = self._env.step(its_own)
        success = self._succeeded(info)
        self._see(observation, float(reward), success=success)
        if self._sparse:
            reward, terminated = float(success), terminated or success
        self._scene.show_step()
        terminated = bool(terminated) and self._ends_on_success
        return self._observe(), float(reward), terminated, bool(truncated), success_info(success)

    def _succeeded(self, info: dict[str, Any]) -> bool:
        return any(bool(info.get(key)) for key in self._success)

    def _see(self, observation: Any, reward: float | None = None, *, success: bool = False) -> None:
        self._seen = observation
        self._scene.expire()
        if self._supervision:
            self._supervision.see(reward, success=success)

    @property
    def supervision(self) -> ScriptedSupervision | None:
        """The expert script's knowledge; None without one."""
        return self._supervision

    @property
    def _command_names(self) -> list[str]:
        layout = self._actions.layout
        return [f"{layout.names[index]}_command" for index in layout.grippers]

    def _observe(self) -> dict[str, np.ndarray]:
        values = {leaf.name: leaf.of(self._seen).ravel() for leaf in self._form.numbers}
        values |= dict(zip(self._command_names, np.atleast_2d(self._commands).T, strict=True))
        return {"state": self.experience.state.pack(values), **self.images()}

    @override
    def images(self) -> dict[str, np.ndarray]:
        return {
            name: resized(
                self._scene.native() if name == RENDERED else self._cameras[name].image_of(self._seen), height, width
            )
            for name, (height, width, _) in self.experience.images
        }

    def render(self) -> np.ndarray:
        """Render the environment for people, uint8 [h, w, 3]."""
        return self._scene.native()

    @property
    def scene(self) -> "RenderedScene":
        """The environment's own rendering."""
        return self._scene

    def close(self) -> None:
        """Close the wrapped environment."""
        self._env.close()


class RenderedScene(SceneView):
    """A foreign environment's own rendering, drawn at most once a step.

    Args:
        name: The environment's name, for errors.
        env: The environment; None if it draws nothing.
    """

    def __init__(self, name: str, env: gymnasium.Env[Any, Any] | None) -> None:
        self._name, self._env = name, env
        self._drawn: np.ndarray | None = None
        self._on_frame: Callable[[], object] | None = None
        self._frames = 0

    def expire(self) -> None:
        """Forget the image that was drawn, as the environment has changed."""
        self._drawn = None

    def show_step(self) -> None:
        """Report the frames of a step that is done."""
        for _ in range(self._frames):
            if self._on_frame:
                self._on_frame()

    def native(self) -> np.ndarray:
        """Render the environment at its own size, uint8 [h, w, 3].

        Raises:
            HilserlError: It draws nothing.
        """
        if self._env is None:
            raise HilserlError(f"{self._name} draws nothing: it has no render mode rgb_array.")
        if self._drawn is None:
            try:
                self._drawn = rendered(self._env)
            except (gymnasium.error.Error, EnvRefusal) as error:
                raise HilserlError(f"{self._name} cannot draw: {described(error)}") from error
        return self._drawn

    def image(self, height: int, width: int) -> np.ndarray:
        """Render the environment into a black frame, uint8 [height, width, 3]."""
        return letterboxed(self.native(), height, width)

    def console_image(self) -> np.ndarray | None:
        """Render the environment at its own size, if it draws."""
        return self.native() if self._env is not None else None

    @contextlib.contextmanager
    def watched(self, on_frame: Callable[[], object], frames: int) -> Iterator[None]:
        """Call `on_frame` `frames` times after every step."""
        before = self._on_frame, self._frames
        self._on_frame, self._frames = on_frame, frames
        try:
            yield
        finally:
            self._on_frame, self._frames = before


@functools.cache
def _form_of(source: EnvSource) -> _Form:
    """Explore an environment once.

    It has its own limit, so that nominal ranges depend on nothing else.
    """
    name = source.name
    with contextlib.closing(source.make()) as env:
        box = env.action_space
        if not isinstance(box, gymnasium.spaces.Box) or not np.issubdtype(box.dtype, np.floating):
            raise HilserlError(f"Actions of {name} are {box}; expected a Box of floats.")
        if not box.is_bounded():
            raise HilserlError(f"Actions of {name} are {box}; expected one that is bounded.")
        numbers, images = leaves(name, env.observation_space)
        actions = ActionMap(box)
        form = _Form(actions, numbers, images, (), frozenset(), env.render_mode == "rgb_array")
        try:
            rows, reward_range = demonstrate(env, numbers) if source.expert else ([], (0.0, 0.0))
            entries, told = explored(env, numbers, actions.its_own, actions.size, rows)
            ends = env.spec is not None and env.spec.max_episode_steps is not None
            if not ends or not told.intersection(_SUCCESS):
                more, ended = told_at_ends(env, actions.its_own, actions.size)
                told, ends = told | more, ends or ended
        except HilserlError:
            raise
        except Exception as error:
            raise HilserlError(f"{name} cannot be stepped: {described(error)}") from error
        return replace(form, entries=entries, told=frozenset(told), ends=ends, reward_range=reward_range)
