"""Benchmark of the learner."""

from dataclasses import replace

from hilserl.agents.agent import AgentConfig
from hilserl.benchmarks.learner import LearnerBenchmark


def test_learner_benchmark_updates_and_samples() -> None:
    config = replace(AgentConfig(), hidden=(8,), num_critics=2, batch_size=4, utd_ratio=1)
    bench = LearnerBenchmark("state", config)
    assert bench.sample(2).action.shape == (2, 4, 4)
    assert bench.update_steps_per_s(utd_ratio=1, count=1, blocks=1) > 0
