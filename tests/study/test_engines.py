"""The same study by every engine: equal results, failures told apart, and engines that are missing."""

import sys

import pytest

from marl_pr_common.runs.table import RESULTS, read_results
from marl_pr_common.study import engines
from marl_pr_common.study.run import run_study
from tests.study.studies import TABULAR, console, said, study

SMALL = {**TABULAR, "seeds": 1, "tasks": {"Landmarks-2": {}}}
PACKAGES = {"slurm": "submitit", "ray": "ray", "dask": "distributed"}


@pytest.fixture(scope="module")
def expected(tmp_path_factory):
    out = tmp_path_factory.mktemp("local") / "out"
    run_study(study(SMALL), out, console=console())
    return results(out)


def results(out):
    return read_results([out / RESULTS]).drop(columns=["wall_time", "cpu_time"])


@pytest.mark.slow
@pytest.mark.parametrize("engine", PACKAGES)
def test_every_engine_gives_the_same_results(engine, expected, tmp_path, monkeypatch):
    pytest.importorskip(PACKAGES[engine], reason=f'pip install "marl-pr[{engine}]"')
    monkeypatch.setenv(engines.SLURM_OPTIONS, "cluster=local timeout_min=10")  # submitit's own stand-in for Slurm
    screen = console()
    outcome = run_study(study(SMALL), tmp_path / "out", jobs=2, engine=engine, console=screen)
    assert len(outcome.done) == 2, said(screen)
    assert not outcome.failed
    assert results(tmp_path / "out").equals(expected)


@pytest.mark.parametrize("engine", PACKAGES)
def test_a_missing_engine_is_named_before_anything_is_written(engine, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, PACKAGES[engine], None)
    with pytest.raises(
        ImportError, match=rf'engine {engine} needs {PACKAGES[engine]}.*pip install "marl-pr\[{engine}\]"'
    ):
        run_study(study(SMALL), tmp_path / "out", engine=engine)
    assert not (tmp_path / "out").exists()


def test_an_unknown_engine_is_named(tmp_path):
    with pytest.raises(ValueError, match="engine='pbs' is not one of local, slurm, ray, dask"):
        run_study(study(SMALL), tmp_path / "out", engine="pbs")
