"""Cells that run in one process after the other: which may, and that none of them changes or ends the next."""

import os
import sys
from pathlib import Path

import gymnasium as gym
import pytest

from marl_pr_common.study import processes, schedulers
from marl_pr_common.study.hosts import MODULES, Plan, load_host
from marl_pr_common.study.processes import Running
from marl_pr_common.study.run import run_study
from marl_pr_common.study.server import Server
from tests.study.studies import TABULAR, console, study

PROGRAM = """
import os, sys, time
from pathlib import Path
import numpy as np
from marl_pr_common.study.server import serve

def run(path):
    print("process", os.getpid())
    {body}
    (path / "run").mkdir()
    (path / "run" / "results.parquet").touch()
    (path / "DONE").touch()

{before}
sys.exit(serve(run, "log.txt"))
"""


@pytest.fixture
def cells(tmp_path, monkeypatch):
    """Run three cells, by relative paths, in a process whose cells do ``body``: what became of each, and its log."""
    monkeypatch.setenv("PYTHONPATH", str(Path(__file__).parents[2]))
    monkeypatch.chdir(tmp_path)

    def run(body="pass", before=""):
        program = PROGRAM.format(body=body, before=before)
        monkeypatch.setattr(processes, "serving", lambda: [sys.executable, "-c", program])
        running, ended = Running(), []
        for name in "abc":
            Path(name).mkdir()
            ended.append(running.run(name, share=True))
        running.close()
        return ended, [Path(name, "log.txt").read_text() for name in "abc"]

    return run


def test_cells_of_environments_that_are_not_known_share_no_process():
    short, long = (Plan({}, 1, steps, steps, "") for steps in (600, 20_000))

    def never(**options):
        raise AssertionError

    sb3 = load_host("sb3")
    gym.register("Mine-v0", entry_point=never)
    gym.register("Theirs-v0", entry_point="theirs.envs:Env")
    try:
        tasks = ["Pendulum-v1", "CooperativeNavigation-3", "Mine-v0", "Theirs-v0", "theirs:Pendulum-v1", "Unknown-v0"]
        assert [task for task in tasks if sb3.may_share(task, short)] == ["Pendulum-v1", "CooperativeNavigation-3"]
        assert not any(sb3.may_share(task, long) for task in tasks)
    finally:
        del gym.registry["Mine-v0"], gym.registry["Theirs-v0"]
    assert load_host("tabular").may_share("Landmarks-2", long)
    assert not load_host("tabular").may_share("Mine-2", short)
    assert set(MODULES) == {"sb3", "epymarl", "tabular"}


def test_the_host_says_of_each_cell_whether_it_may_share(tmp_path, monkeypatch):
    given = []

    def run_cells(engine, directories, jobs, folder, shared):
        given.extend(Path(path).name for path in directories if path in shared)
        yield from ()

    monkeypatch.setattr(schedulers, "run_cells", run_cells)
    monkeypatch.setattr(load_host("tabular"), "may_share", lambda task, plan: task == "Landmarks-2")
    small = study(TABULAR, seeds=1)
    run_study(small, tmp_path / "out", console=console())
    assert given == ["iql-Landmarks-2-seed0", "iql_pr_decision-Landmarks-2-seed0"]


CHANGES = """
    import logging
    print(os.getcwd(), os.environ.get("CHANGED"), np.geterr()["divide"], logging.root.level, repr(sys.stdin.read()))
    os.chdir("/"); os.environ["CHANGED"] = "1"; np.seterr(all="raise"); logging.root.setLevel(5)
"""


def test_what_a_cell_changes_is_put_back(cells, tmp_path):
    ended, logs = cells(CHANGES.strip())
    assert [cell.state for cell in ended] == ["done"] * 3
    assert len(set(logs)) == 1, "one process, and the same for each"
    assert f"{tmp_path} None warn 30 ''" in logs[0]


def test_an_error_is_the_cells_own_and_the_next_one_runs(cells, tmp_path):
    ended, logs = cells("assert path.name != 'b', 'no\\nluck'")
    assert [cell.state for cell in ended] == ["done", "failed", "done"]
    assert "AssertionError: no" in ended[1].error
    assert logs[0] == logs[2]


def test_a_log_that_cannot_be_opened_is_told(tmp_path):
    program = PROGRAM.format(body="pass", before="")
    (tmp_path / "there").mkdir()
    with (tmp_path / "log").open("wb") as log:
        server = Server([sys.executable, "-c", program], log, os.environ)
        code, error = server.run(tmp_path / "gone")
        assert (code, error.partition(":")[0]) == (1, "FileNotFoundError")
        assert server.run(tmp_path / "there") == (0, "")
        server.close()


def test_stray_lines_are_no_answers(cells):
    stray = "import subprocess; os.write(1, b'7\\n8'); subprocess.run(['echo', '9'], check=True)"
    ended, logs = cells(stray, before="os.write(1, b'hello\\n1\\nand half a line')")
    assert [cell.state for cell in ended] == ["done"] * 3
    assert all("7\n89\n" in log for log in logs)


def test_a_process_that_ended_before_the_cell_began_is_replaced(cells, tmp_path):
    gone = f"""
mark = Path({str(tmp_path / "mark")!r})
if not mark.exists():
    mark.touch()
    sys.stdin.readline()
    sys.exit(3)
"""
    ended, _ = cells(before=gone)
    assert [cell.state for cell in ended] == ["done"] * 3


def test_one_that_never_begins_is_failed(cells):
    ended, _ = cells(before="sys.exit('no such module')")
    assert [cell.error for cell in ended] == ["no such module (exit code 1)"] * 3


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_a_child_that_is_left_keeps_nobody_waiting(cells, tmp_path):
    mark = tmp_path / "child"
    mark.touch()
    body = f"""
    if path.name == "b":
        if os.fork() == 0:
            while os.path.exists({str(mark)!r}):
                time.sleep(0.01)
            os._exit(0)
        os._exit(9)
"""
    ended, logs = cells(body.strip())
    mark.unlink()
    assert [cell.state for cell in ended] == ["done", "failed", "done"]
    assert ended[1].error.endswith("(exit code 9)")
    assert logs[0] != logs[2]
