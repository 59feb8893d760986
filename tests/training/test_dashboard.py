"""Facts and curves of the console during a run."""

from dataclasses import replace

from hilserl.data.episode_summary import summarise
from hilserl.runs.counters import RunCounters
from hilserl.training.dashboard import Dashboard
from hilserl.training.learner import LearnerFacts
from tests.support.configs import train_config
from tests.support.steps import make_episode


def test_report_has_curves_of_success_and_of_human_time_by_env_steps() -> None:
    counters = RunCounters()
    dashboard = Dashboard(train_config("pick_cube"), counters, LearnerFacts, lambda: "here")
    assert not dashboard.report().plots
    for episode in range(3):
        steps = make_episode(episode, 4, terminated=True, intervened=(1, 2) if episode == 0 else ())
        steps = [replace(step, human_seconds=0.5 * step.intervened) for step in steps]
        for step in steps:
            counters.on_step(step)
            dashboard.on_step(step)
        summary = summarise(steps)
        counters.on_episode(steps, summary)
        dashboard.on_episode(steps, summary)
    curves = {curve.name: curve for _, curves in dashboard.report().plots for curve in curves}
    assert curves["seconds"].x.tolist() == [4.0, 8.0, 12.0]
    assert curves["seconds"].y.tolist() == [1.0, 1.0, 1.0]
    assert curves["succeed alone"].y.tolist() == [0.0, 1 / 2, 2 / 3]
    assert curves["human steps"].y.tolist() == [1 / 2, 1 / 4, 1 / 6]
