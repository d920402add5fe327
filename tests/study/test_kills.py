"""SIGKILL at random moments, of a study and its cells: all end DONE, nothing is lost, doubled or run twice."""

import logging
import os
import random
import signal
import subprocess
import time

import psutil
import pytest

from marl_pr_common.runs.table import RESULTS, read_results
from marl_pr_common.study.cell import is_done
from tests.study.studies import NETWORKS, TABULAR, command, run, write

KEYS = ["run", "arm", "task", "seed", "agent", "env_steps_per_agent", "metric"]
LOGGER = logging.getLogger("marl_pr")
TIMES = ["wall_time", "cpu_time"]


def interrupted(file, out, kills, generator, longest):
    """Start the study ``kills`` times and kill it, or one of its cells first, at a random moment; DONE files seen."""
    vouched = {}
    for _ in range(kills):
        process = subprocess.Popen(
            command(file, out), stderr=subprocess.DEVNULL, env={**os.environ, "OMP_NUM_THREADS": "1"}
        )
        time.sleep(generator.uniform(0.0, longest))
        if generator.random() < 0.5:
            children = psutil.Process(process.pid).children() if process.poll() is None else []
            for child in generator.sample(children, min(1, len(children))):
                os.kill(child.pid, signal.SIGKILL)
                time.sleep(generator.uniform(0.0, 1.0))
        process.kill()
        process.wait()
        for path in out.glob("cells/*/DONE"):
            content = path.read_bytes(), path.stat().st_mtime_ns
            assert vouched.setdefault(path, content) == content, f"{path.parent.name} was run twice"
    return vouched


def uninterrupted(file, reference):
    """Seconds that the study takes."""
    begun = time.monotonic()
    done = run(file, reference)
    assert done.returncode == 0, done.stderr
    return time.monotonic() - begun


def check(file, out, reference, vouched, n_cells):
    done = run(file, out)
    assert done.returncode == 0, done.stderr
    cells = [path for path in (out / "cells").iterdir() if path.is_dir()]
    assert len(cells) == n_cells
    assert all(is_done(path) for path in cells)
    for path, content in vouched.items():
        assert (path.read_bytes(), path.stat().st_mtime_ns) == content, f"{path.parent.name} was run twice"
    found, expected = (
        read_results([folder / RESULTS]).drop(columns=TIMES).sort_values(KEYS).reset_index(drop=True)
        for folder in (out, reference)
    )
    assert not found.duplicated(KEYS).any()
    assert found.equals(expected), "killed and resumed cells differ from uninterrupted ones"


@pytest.mark.slow  # tests/resume kills a comparison, tests/study/test_damage has what a kill leaves
def test_a_killed_study_goes_on(tmp_path):
    file = write(tmp_path / "grids.yaml", TABULAR, seeds=1, tasks={"Landmarks-2": {}})
    longest = uninterrupted(file, tmp_path / "reference")
    vouched = interrupted(file, tmp_path / "out", 2, random.Random(0), longest)
    check(file, tmp_path / "out", tmp_path / "reference", vouched, n_cells=2)


@pytest.mark.slow
@pytest.mark.parametrize("content,n_cells", [(TABULAR, 8), (NETWORKS, 6)], ids=["tables", "networks"])
def test_twenty_kills(tmp_path, content, n_cells):
    settings = (
        {**content["settings"], "steps_per_agent": 60_000, "eval_every": 5_000}
        if content is TABULAR
        else {**content["settings"], "timesteps_per_agent": 2_000, "eval_every": 500}
    )
    file = write(tmp_path / "study.yaml", content, settings=settings)
    seed = random.SystemRandom().randrange(2**32)
    longest = 0.6 * uninterrupted(file, tmp_path / "reference")
    vouched = interrupted(file, tmp_path / "out", 20, random.Random(seed), longest)
    LOGGER.warning(
        "random moments from seed %d; %d of %d cells were done before the last run", seed, len(vouched), n_cells
    )
    check(file, tmp_path / "out", tmp_path / "reference", vouched, n_cells)
