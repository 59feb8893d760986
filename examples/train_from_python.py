"""Train a policy on a task from Python, as `hilserl train` does.

python examples/train_from_python.py runs/cube
"""

import argparse
import logging
from dataclasses import replace
from pathlib import Path

import hilserl


def main() -> None:
    """Train on pick_cube from the true state of its objects."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("run_dir", type=Path)
    parser.add_argument("--task", default="pick_cube")
    parser.add_argument("--max-env-steps", type=int, default=3_000)
    parser.add_argument("--demonstrations", type=int, default=20)
    parser.add_argument("--eval-episodes", type=int, default=50)
    arguments = parser.parse_args()

    logging.basicConfig(level=logging.INFO, format="%(message)s")
    preset = hilserl.preset(arguments.task)
    config = replace(
        preset,
        env=replace(preset.env, obs="state"),
        max_env_steps=arguments.max_env_steps,
        demonstrations=arguments.demonstrations,
        eval_episodes=arguments.eval_episodes,
        final_eval_episodes=arguments.eval_episodes,
    )
    result = hilserl.train(config, hilserl.RunDir(arguments.run_dir))
    if result is None:
        print("Interrupted.")
        return
    evaluation = result["evaluation"]
    print(f"{evaluation['successes']} of {evaluation['episodes']} episodes succeed after {result['env_steps']} steps.")


if __name__ == "__main__":
    main()
