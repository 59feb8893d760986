"""Define a task, reach a ball, and solve it with its script.

    python examples/own_task.py

docs/add_a_task.md tells how to install such a task, so that `hilserl train reach_ball` finds it.
"""

import mujoco
import numpy as np

import hilserl
from hilserl.sim.arm import GRIPPER_CLOSED
from hilserl.sim.environment import ManipulationEnv, towards
from hilserl.sim.simulation import Simulation


class ReachBall(hilserl.Task):
    """Success: the tool is within 2 cm of the ball."""

    name = "reach_ball"
    summary = "reach a ball"
    preset = hilserl.TaskPreset({"agent.discount": 0.9})
    max_episode_steps = 50
    state = (hilserl.entry("ball_from_tcp_m", 3, scale=0.1),)

    def build(self, world: mujoco.MjSpec) -> None:
        """Add a ball that floats and that nothing collides with."""
        ball = world.worldbody.add_body(name="ball", pos=[0.4, 0.0, 0.2])
        ball.add_geom(size=[0.02, 0, 0], rgba=[0.2, 0.7, 0.3, 1], contype=0, conaffinity=0)

    def reset(self, sim: Simulation, rng: np.random.Generator) -> None:
        """Place the ball at random."""
        sim.model.body("ball").pos[:] = rng.uniform((0.3, -0.2, 0.1), (0.5, 0.2, 0.3))

    def observe(self, sim: Simulation) -> dict[str, np.ndarray]:
        """Return the vector from the tool to the ball."""
        return {"ball_from_tcp_m": sim.position_m("ball") - sim.arm.tcp_position_m}

    def success(self, sim: Simulation) -> bool:
        """Return True if the tool is at the ball."""
        return bool(np.linalg.norm(self.observe(sim)["ball_from_tcp_m"]) < 0.02)

    def expert(self, sim: Simulation) -> np.ndarray:
        """Return an action that moves straight to the ball."""
        return towards(sim.arm, sim.position_m("ball"), GRIPPER_CLOSED)

    def progress(self, sim: Simulation) -> float:
        """Return 1 at the ball, and less at a distance."""
        return float(np.exp(-5.0 * np.linalg.norm(self.observe(sim)["ball_from_tcp_m"])))


if __name__ == "__main__":
    env = ManipulationEnv(ReachBall())
    env.reset(seed=0)
    steps = next(step for step in range(1, 51) if env.step(env.supervision.expert_action())[2])
    print(f"The ball is reached after {steps} steps.")
