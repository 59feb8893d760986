"""Load the policy of a run, and let it act.

python examples/load_policy.py runs/cube
"""

import argparse
from pathlib import Path

import hilserl


def main() -> None:
    """Run some autonomous episodes."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("run_dir", type=Path)
    parser.add_argument("--checkpoint", default="best", help="best, last, or the environment step of a checkpoint")
    parser.add_argument("--episodes", type=int, default=3)
    arguments = parser.parse_args()

    policy = hilserl.load_policy(hilserl.RunDir(arguments.run_dir), arguments.checkpoint)
    print(f"{policy.config.task} from {policy.config.env.obs}, checkpoint {policy.checkpoint.name}")
    for seed in range(arguments.episodes):
        observation, _ = policy.env.reset(seed=seed)
        done, steps, success = False, 0, False
        while not done:
            action = policy.act(observation)
            observation, _, terminated, truncated, info = policy.env.step(action)
            done, steps, success = terminated or truncated, steps + 1, info["success"]
        print(f"episode {seed}: {steps} steps, success: {success}")
    policy.env.close()


if __name__ == "__main__":
    main()
