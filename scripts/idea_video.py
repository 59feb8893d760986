"""Make the moving image of the whole idea, docs/images/idea.gif.

    python -m scripts.idea_video

It trains pick_cube from state and shows its early policy, a takeover by the simulated operator, and the final policy
alone. The numbers in the image are those of the run.
"""

import argparse
import sys
import tempfile
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image, ImageDraw, ImageFont
from scipy.spatial.transform import Rotation

import hilserl
from hilserl.data.step import Observation
from hilserl.envs.env import InteractiveEnv, require_supervision
from hilserl.files import atomically
from hilserl.policies.loading import LoadedPolicy
from hilserl.sim.scene_view import SimulatedScene

TARGET = Path(__file__).resolve().parents[1] / "docs" / "images" / "idea.gif"
BLUE, ORANGE, GREEN, GREY = (44, 95, 158), (221, 107, 32), (42, 127, 79), (70, 70, 70)
"""Colours of the policy, the operator, a success, and what stands between."""
_WIDTH, _HEIGHT, _BAND_PX, _BORDER_PX = 480, 300, 38, 6
_FRAMES_PER_STEP, _FRAME_MS = 2, 50
_COLOURS = 240
_SEED, _EARLY_STEPS, _SCENES_ALONE = 0, 250, 3
_FUMBLES_STEPS, _LONGEST_STEPS = 26, 60
_PAUSE_FRAMES = 14
_EYE_M, _TARGET_M, _FOVY_DEG = (1.30, -0.90, 0.70), (0.30, 0.0, 0.25), 33.0

Act = Callable[[Observation], np.ndarray]


@dataclass
class Clip:
    """Frames of the image, each with its caption."""

    frames: list[Image.Image] = field(default_factory=list)
    """Frames so far."""
    colour: tuple[int, int, int] = BLUE
    """Colour of border and band."""
    caption: str = ""
    """Text of the band."""
    key: str = ""
    """Key that is shown as pressed."""

    def add(self, scene: np.ndarray, frames: int = 1) -> None:
        """Append an image of the scene, for a number of frames."""
        image = Image.new("RGB", (_WIDTH, _HEIGHT + _BAND_PX), self.colour)
        inner = (_WIDTH - 2 * _BORDER_PX, _HEIGHT - _BORDER_PX)
        image.paste(Image.fromarray(scene).resize(inner, Image.Resampling.LANCZOS), (_BORDER_PX, _BORDER_PX))
        drawn, middle = ImageDraw.Draw(image), _HEIGHT + _BAND_PX / 2
        drawn.text((14, middle), self.caption, "white", ImageFont.load_default(19), anchor="lm")
        if self.key:
            box = (_WIDTH - 60, _HEIGHT - 56, _WIDTH - 20, _HEIGHT - 16)
            drawn.rounded_rectangle(box, 7, fill="white", outline=self.colour, width=3)
            drawn.text((_WIDTH - 40, _HEIGHT - 37), self.key, GREY, ImageFont.load_default(24), anchor="mm")
        self.frames += [image] * frames

    def title(self, lines: list[str], frames: int) -> None:
        """Append a plain image with lines of text."""
        image = Image.new("RGB", (_WIDTH, _HEIGHT + _BAND_PX), GREY)
        drawn = ImageDraw.Draw(image)
        for row, line in enumerate(lines):
            place = (_WIDTH / 2, (_HEIGHT + _BAND_PX) / 2 + 32 * (row - (len(lines) - 1) / 2))
            drawn.text(place, line, "white", ImageFont.load_default(21), anchor="mm")
        self.frames += [image] * frames


def train(run: hilserl.RunDir) -> dict[str, Any]:
    """Train from state, with a checkpoint of the early policy."""
    preset = hilserl.preset("pick_cube")
    config = replace(
        preset,
        env=replace(preset.env, obs="state"),
        seed=_SEED,
        eval_every=_EARLY_STEPS,
        keep_checkpoints=1_000,
    )
    result = hilserl.train(config, run)
    if result is None or result["ended"] != "solved":
        raise RuntimeError(f"the run did not solve the task: {result}")
    return result


def aim(env: InteractiveEnv) -> None:
    """Let the camera for people look at the workspace from nearby."""
    assert isinstance(env.scene, SimulatedScene)
    model, _ = env.scene.model_and_data
    camera = model.cam("overview")
    backward = np.array(_EYE_M) - np.array(_TARGET_M)
    backward /= np.linalg.norm(backward)
    right = np.cross(np.array([0.0, 0.0, 1.0]), backward)
    right /= np.linalg.norm(right)
    axes = np.column_stack([right, np.cross(backward, right), backward])
    camera.quat[:] = Rotation.from_matrix(axes).as_quat(scalar_first=True)
    camera.pos[:], camera.fovy[:] = _EYE_M, _FOVY_DEG


def scene_image(env: InteractiveEnv) -> np.ndarray:
    """Return the scene in twice the size of the image."""
    return env.scene.image(2 * (_HEIGHT - _BORDER_PX), 2 * (_WIDTH - 2 * _BORDER_PX))


def drive(env: InteractiveEnv, act: Act, observation: Observation, clip: Clip, most: int) -> Observation:
    """Act until a success or for `most` steps.

    Returns:
        The last observation.
    """
    with env.scene.watched(lambda: clip.add(scene_image(env)), _FRAMES_PER_STEP):
        for _ in range(most):
            observation, _, terminated, _, _ = env.step(act(observation))
            if terminated:
                break
    return observation


def fumbling_seed(early: LoadedPolicy) -> int:
    """Return the first scene that the early policy fails in."""
    for seed in range(100):
        observation, _ = early.env.reset(seed=seed)
        outcomes = []
        for _ in range(_FUMBLES_STEPS):
            observation, _, terminated, _, _ = early.env.step(early.act(observation))
            outcomes.append(terminated)
        distance_m = np.linalg.norm(observation["state"][early.env.experience.state.slice("cube_from_tcp_m")])
        if not any(outcomes) and 0.03 < distance_m < 0.12:
            return seed
    raise RuntimeError("the early policy fails in no scene")


def show_takeover(early: LoadedPolicy, clip: Clip) -> None:
    """Show the early policy, the takeover, and the correction."""
    env, seed = early.env, fumbling_seed(early)
    observation, _ = env.reset(seed=seed)
    clip.colour, clip.caption = BLUE, "The policy tries."
    observation = drive(env, early.act, observation, clip, _FUMBLES_STEPS)
    clip.colour, clip.caption, clip.key = ORANGE, "You press a key, and drive.", ";"
    clip.add(scene_image(env), _PAUSE_FRAMES)
    clip.key, supervision = "", require_supervision(env)
    drive(env, lambda _: supervision.expert_action(), observation, clip, _LONGEST_STEPS)
    clip.add(scene_image(env), _PAUSE_FRAMES)


def show_alone(final: LoadedPolicy, clip: Clip) -> None:
    """Show the final policy in several scenes."""
    for seed in range(_SCENES_ALONE):
        observation, _ = final.env.reset(seed=seed)
        clip.colour, clip.caption = BLUE, "The policy, alone."
        drive(final.env, final.act, observation, clip, _LONGEST_STEPS)
        clip.colour = GREEN
        clip.add(scene_image(final.env), _PAUSE_FRAMES // 2)


def write_gif(frames: list[Image.Image], target: Path) -> None:
    """Write the frames with one palette, in a loop."""
    sample = frames[:: max(1, len(frames) // 40)]
    strip = Image.new("RGB", (_WIDTH, (_HEIGHT + _BAND_PX) * len(sample)))
    for row, image in enumerate(sample):
        strip.paste(image, (0, row * (_HEIGHT + _BAND_PX)))
    palette = strip.quantize(_COLOURS, dither=Image.Dither.NONE)
    first, *rest = (image.quantize(palette=palette, dither=Image.Dither.NONE) for image in frames)
    atomically(
        target,
        lambda part: first.save(
            part, format="GIF", save_all=True, append_images=rest, duration=_FRAME_MS, loop=0, optimize=False
        ),
    )


def main() -> int:
    """Train, show, write; return the exit status."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, default=TARGET)
    parser.add_argument("--run-dir", type=Path, help="a run of this script, to use again")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        run = hilserl.RunDir(arguments.run_dir or Path(temporary) / "run")
        result = run.read_result() if run.result.exists() else train(run)
        first = min(int(path.name) for path in run.checkpoints.iterdir())
        early, final = (hilserl.load_policy(run, checkpoint) for checkpoint in (str(first), "best"))
        for policy in (early, final):
            aim(policy.env)
        clip = Clip()
        show_takeover(early, clip)
        minutes = result["env_steps"] / 600
        seconds = result["human_seconds"] + result["demonstration_seconds"]
        clip.title([f"{minutes:.1f} robot-minutes and", f"{seconds:.0f} human seconds later"], 2 * _PAUSE_FRAMES)
        show_alone(final, clip)
    write_gif(clip.frames, arguments.out)
    print(f"{arguments.out}: {len(clip.frames)} frames, {arguments.out.stat().st_size / 1e6:.2f} MB")
    return 0


if __name__ == "__main__":
    sys.exit(main())
