"""Read recorded episodes and print what each of them holds.

hilserl record pick_cube --successes 3 --out demos
python examples/read_episodes.py demos
"""

import argparse
from pathlib import Path

import hilserl


def main() -> None:
    """Print one line for each episode."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("directory", type=Path, help="what `hilserl record` wrote, or the episodes of a run")
    arguments = parser.parse_args()

    for steps in hilserl.read_episodes(arguments.directory):
        first, last = steps[0], steps[-1]
        shapes = ", ".join(f"{name} {value.dtype}{list(value.shape)}" for name, value in first.observation.items())
        human_steps = sum(step.intervened for step in steps)
        print(
            f"episode {first.episode}: {len(steps) - 1} actions of {last.action.size} numbers, {human_steps} by an "
            f"operator, return {sum(step.reward for step in steps):.1f}, success: {last.success}; {shapes}"
        )


if __name__ == "__main__":
    main()
