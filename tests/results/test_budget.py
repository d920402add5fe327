"""People's own logs: NAME=PATH makes an arm, a budget cuts runs of different lengths, what nothing tells is said."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from marl_pr_common.cli import main
from marl_pr_common.results.budget import within
from marl_pr_common.results.readers import UntoldError, read_all
from marl_pr_common.results.readers.given import named


def log(folder, n_points):
    folder.mkdir(parents=True)
    steps = 5000 * np.arange(1, n_points + 1)
    ones = np.ones((n_points, 2))
    np.savez(folder / "evaluations.npz", timesteps=steps, results=ones, ep_lengths=ones)


def pictures(figure, stem, dpi):
    """Other files in the place of a report's pictures."""
    stem.parent.mkdir(parents=True, exist_ok=True)
    for kind in ("png", "svg"):
        stem.with_name(f"{stem.name}.{kind}").write_text("<svg/>")
    return stem.with_name(f"{stem.name}.png"), stem.with_name(f"{stem.name}.svg")


@pytest.fixture
def logs(tmp_path):
    for seed in range(2):
        log(tmp_path / "a" / f"run_{seed}", 4)
    log(tmp_path / "b", 6)
    return [tmp_path / "a", tmp_path / "b"], named([f"mine={tmp_path / 'a'}", f"base={tmp_path / 'b'}"])


def test_folders_become_arms_and_what_is_made_up_is_said(logs):
    folders, (paths, said) = logs
    assert paths == folders
    notes = []
    results = read_all(paths, notes, said)
    runs = results.drop_duplicates("run")
    assert [*zip(runs["arm"], runs["seed"], strict=True)] == [("mine", 0), ("mine", 1), ("base", 0)]
    assert results["task"].nunique() == 1
    assert sum("taken as" in note for note in notes) == 3
    with pytest.raises(UntoldError, match="task and seed"):
        read_all(folders[1:], [])


def test_a_task_that_some_runs_tell_is_asked_of_the_others(logs):
    _, (paths, said) = logs
    with pytest.raises(UntoldError, match="task"):
        read_all(paths, [], {**said, paths[0]: {**said[paths[0]], "task": "Hopper-v5"}})


def test_runs_are_cut_at_the_budget(logs):
    _, (paths, said) = logs
    results = read_all(paths, [], said)
    cut, notes = within(results, 20_000)
    assert set(cut.groupby("run")["env_steps_per_agent"].max()) == {20_000}
    assert notes == ["1 of 3 runs went on; all are cut at 20,000 env steps of each agent, as asked."]
    assert within(results, 17_000)[1] == [
        "3 of 3 runs went on; all are cut at 17,000 env steps of each agent, as asked. The last evaluations within "
        "that are at 15,000: that is where returns are compared."
    ]
    with pytest.raises(ValueError, match=r"budget=30000: .*mine-one task-seed0 \(ends at 20,000\).*--budget 20000"):
        within(results, 30_000)
    with pytest.raises(ValueError, match=r"budget=100: no evaluation within it in mine-one task-seed0"):
        within(results, 100)


def test_tasks_of_other_lengths_have_no_budget_in_common(make_results):
    short, long = (
        make_results(lambda arm, seed, agent, steps: 1.0, 3, steps=steps).assign(task=task)
        for task, steps in (("Hopper-v5", (0, 50, 100)), ("Ant-v5", (500, 1000, 1500)))
    )
    for budget in (100, 1000):
        with pytest.raises(ValueError, match="Report tasks of such different lengths apart"):
            within(pd.concat([short, long.assign(run="ant" + long["run"])]), budget)


def test_one_command_makes_a_report_in_words_for_one_agent(logs, tmp_path, monkeypatch):
    monkeypatch.setattr("marl_pr_common.report.build.save_figure", pictures)
    folders, _ = logs
    options = ["--reference", "base", "--budget", "20k", "--out", str(tmp_path / "out")]
    assert main(["plot", f"mine={folders[0]}", f"base={folders[1]}", *options]) == 0
    assert (tmp_path / "out" / "learning_curves.svg").is_file()
    text = (tmp_path / "out" / "summary.md").read_text()
    assert "mine against base: 1 seed: no verdict on one task, after 20,000 env steps." in text
    assert "of all its agents" not in text


def test_one_folder_has_one_name(tmp_path):
    with pytest.raises(ValueError, match="is x already"):
        named([f"x={tmp_path}", f"y={tmp_path}"])
