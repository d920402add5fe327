"""Which cells are one process, and what a plan says of it."""

import itertools

import pytest

from marl_pr_common import cli
from marl_pr_common.runs.status import StatusReporter
from marl_pr_common.study import outlook, stacks
from marl_pr_common.study.plan import resolve
from tests.study.stacking import SMALL
from tests.study.studies import NETWORKS, TABULAR, study, write


def test_auto_leaves_alone_what_it_does_not_know(tmp_path):
    for task in ("CooperativeNavigation-2", "tests.study.stacking:breaks"):
        cells = resolve(study(SMALL, tasks={task: {}}), tmp_path)
        assert not any(unit.is_stack for unit in stacks.units(cells, "auto", tmp_path))
    assert not any(unit.is_stack for unit in stacks.units(resolve(study(TABULAR), tmp_path), "auto", tmp_path))


def test_a_cell_that_was_begun_alone_goes_on_alone_and_memory_is_bounded(tmp_path, monkeypatch):
    cells = resolve(study(SMALL, seeds=5), tmp_path)
    checkpoint = cells[1].directory / "run" / "checkpoints" / "step_40"
    checkpoint.mkdir(parents=True)
    (checkpoint / "manifest.json").touch()
    found = stacks.units(cells, "auto", tmp_path)
    assert [[one.manifest.seed for one in unit.cells] for unit in found] == [[0, 2, 3, 4], [1]]
    monkeypatch.setattr(stacks, "LARGEST", 30_000)  # the replay buffers and networks of 3 cells
    found = stacks.units(cells, "auto", tmp_path)
    assert [[one.manifest.seed for one in unit.cells] for unit in found] == [[0, 2], [1], [3, 4]]
    assert len(stacks.units(cells, False, tmp_path)) == 5
    monkeypatch.undo()
    (cells[4].directory / "run").mkdir(parents=True)
    StatusReporter(cells[4].directory / "run", 120).failed(RuntimeError("what only this seed met"))
    found = stacks.units(cells, "auto", tmp_path)
    assert [[one.manifest.seed for one in unit.cells] for unit in found] == [[0, 2, 3], [1], [4]]


@pytest.mark.parametrize(
    ("stack", "jobs", "expected"),
    [
        ("auto", 1, [[0, 1, 2, 3, 4]]),
        ("auto", 2, [[0, 1], [2, 3, 4]]),
        ("auto", 4, [[0, 1], [2, 3, 4]]),  # none by itself beside stacks
        ("auto", 5, [[0], [1], [2], [3], [4]]),
        (True, 9, [[0, 1], [2, 3, 4]]),
        (False, 1, [[0], [1], [2], [3], [4]]),
    ],
)
def test_an_arm_is_as_many_stacks_as_end_soonest(tmp_path, stack, jobs, expected):
    cells = resolve(study(SMALL, seeds=5), tmp_path)
    found = stacks.units(cells, stack, tmp_path, jobs)
    assert [[one.manifest.seed for one in unit.cells] for unit in found] == expected
    both = resolve(study(SMALL, seeds=5, arms={"td3_independent": {}, "td3_pr": {}}), tmp_path)
    assert len(stacks.units(both, stack, tmp_path, 2)) == (10 if stack is False else 2)


LONG = {"timesteps_per_agent": 20_000, "net_arch": [256, 256], "batch_size": 256, "n_agents": 3, "buffer_size": 20_000}


@pytest.mark.parametrize(("n_arms", "seeds"), [(1, 3), (1, 5), (2, 5), (2, 10), (3, 10)])
def test_more_jobs_never_take_longer_by_the_plan(tmp_path, n_arms, seeds):
    arms = {name: {} for name in ["td3_pr", "td3_independent", "td3_shared_replay"][:n_arms]}
    cells = resolve(study(SMALL, seeds=seeds, arms=arms, settings={**SMALL["settings"], **LONG}), tmp_path)
    times = [outlook.outlook(cells, jobs, "auto").seconds for jobs in range(1, 9)]
    apart = [outlook.outlook(cells, jobs, False).seconds for jobs in range(1, 9)]
    assert all(later <= 1.06 * sooner for sooner, later in itertools.pairwise(times))
    assert all(one <= 1.06 * other for one, other in zip(times, apart, strict=True))


def test_the_plan_shows_stacks_and_memory(tmp_path, capsys):
    file = write(tmp_path / "own.yaml", NETWORKS)
    assert cli.main(["study", str(file), "--dry-run", "--out", str(tmp_path / "out")]) == 0
    plan = capsys.readouterr().err
    assert "memory: up to 9" in plan
    assert (
        "stacked: 4 cells as 2 processes, up to 2 seeds in each (td3_pr, td3_own_critics); 4 processes in all" in plan
    )
    assert cli.main(["study", str(file), "--dry-run", "--stack", "false", "--out", str(tmp_path / "out")]) == 0
    assert "stacked" not in capsys.readouterr().err
    assert not (tmp_path / "out").exists()
