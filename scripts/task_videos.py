"""Make the moving images of docs/tasks.md from the policies of the package.

    python -m scripts.task_videos                    # all of them
    python -m scripts.task_videos handover           # one task

Each is docs/images/TASK.gif: the policy in its first scenes, with the images that it sees.
"""

import argparse
import tempfile
from pathlib import Path

import av
from PIL import Image

from hilserl.files import atomically
from hilserl.policies.built_in import built_in_policy
from hilserl.policies.loading import load_policy
from hilserl.rollout.video import write_video

TASKS = ("insert_ram", "insert_usb", "handover", "flip_object")
DIRECTORY = Path(__file__).resolve().parents[1] / "docs" / "images"
_HEIGHT, _WIDTH, _EPISODES = 240, 320, 3
_FRAME_MS, _FRAMES, _COLOURS = 100, 95, 128


def film(task: str, target: Path) -> None:
    """Write a GIF of a policy, at most 9.5 seconds long."""
    policy = load_policy(built_in_policy(task))
    with tempfile.TemporaryDirectory() as temporary:
        video = Path(temporary) / "video.mp4"
        write_video(video, policy.env, policy.policy, range(_EPISODES), _HEIGHT, _WIDTH)
        policy.env.close()
        with av.open(str(video)) as container:
            rate = container.streams.video[0].average_rate
            assert rate is not None
            step = round(rate * _FRAME_MS / 1000)
            frames = [frame.to_image() for frame in container.decode(video=0)][::step][:_FRAMES]
    write_gif(frames, target)


def write_gif(frames: list[Image.Image], target: Path) -> None:
    """Write the frames with one palette, in a loop."""
    sample = frames[:: max(1, len(frames) // 20)]
    width, height = frames[0].size
    strip = Image.new("RGB", (width, height * len(sample)))
    for row, image in enumerate(sample):
        strip.paste(image, (0, row * height))
    palette = strip.quantize(_COLOURS, dither=Image.Dither.NONE)
    first, *rest = (image.quantize(palette=palette, dither=Image.Dither.NONE) for image in frames)
    options = {"save_all": True, "append_images": rest, "duration": _FRAME_MS, "loop": 0}
    atomically(target, lambda part: first.save(part, format="GIF", **options))


def main() -> None:
    """Make the images of the named tasks, or all of them."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("tasks", nargs="*", default=TASKS, metavar="TASK")
    for task in parser.parse_args().tasks:
        target = DIRECTORY / f"{task}.gif"
        film(task, target)
        print(f"{target}: {target.stat().st_size / 1e6:.2f} MB", flush=True)


if __name__ == "__main__":
    main()
