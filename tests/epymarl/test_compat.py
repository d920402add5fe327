"""The stand-ins do what EPyMARL and sacred ask of the packages that they stand for, and make way for those."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from epymarl_pr.launch.locate import Checkout
from tests.events import HANG

PACKAGE = str(Path(__file__).parents[2])
START = (
    "import sys; from pathlib import Path; from epymarl_pr.launch import compat; compat.install(Path(sys.argv[1]))\n"
)


def answer(checkout: Checkout, code: str, packages: Path | None = None) -> str:
    """What ``code`` prints in a new interpreter after the stand-ins are in place.

    :param packages: a folder of packages that are found before all others
    """
    path = os.pathsep.join([str(packages), PACKAGE] if packages else [PACKAGE])
    done = subprocess.run(
        [sys.executable, "-c", START + code, str(checkout.src)],
        env={**os.environ, "PYTHONPATH": path, "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        timeout=HANG,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def package(folder: Path, name: str, text: str) -> Path:
    """A package of that name whose import runs ``text``."""
    (folder / name).mkdir(parents=True)
    (folder / name / "__init__.py").write_text(text)
    return folder


def test_sacred_finds_the_versions_of_packages(checkout: Checkout) -> None:
    code = """
import importlib.metadata, numpy, yaml, sacred
from sacred.dependencies import PackageDependency, gather_sources_and_dependencies
created = PackageDependency.create(yaml)
assert (created.name, created.version) == ("PyYAML", importlib.metadata.version("PyYAML")), created
_, _, found = gather_sources_and_dependencies({"numpy": numpy, "__file__": sys.argv[1] + "/main.py"}, False)
for item in found:
    item.fill_missing_version()  # as sacred does when the run starts
print([item.to_json() for item in found] == ["numpy==" + numpy.__version__])
"""
    assert answer(checkout, code) == "True"


def test_sacred_reads_a_file_of_its_package(checkout: Checkout) -> None:
    code = "import pkg_resources; print(Path(pkg_resources.resource_filename('sacred', 'data/mime.types')).is_file())"
    assert answer(checkout, code) == "True"


@pytest.mark.skipif(sys.version_info < (3, 11), reason="older versions may have pettingzoo with MPE")
@pytest.mark.slow
def test_simple_spread_is_mpe2s(checkout: Checkout) -> None:
    pytest.importorskip("mpe2")
    code = """
import gymnasium, envs
env = gymnasium.make("pz-mpe-simple-spread-v3", max_cycles=7)
import pettingzoo.mpe.simple_spread_v3, mpe2
assert pettingzoo.mpe.simple_spread_v3.parallel_env is mpe2.simple_spread_v3.parallel_env
observations, _ = env.reset(seed=0)
print(env.unwrapped.n_agents, [len(seen) for seen in observations])
"""
    assert answer(checkout, code).splitlines()[-1] == "3 [18, 18, 18]"


def test_a_pettingzoo_with_mpe_is_left_alone(checkout: Checkout, tmp_path: Path) -> None:
    package(tmp_path, "pettingzoo", "")
    package(tmp_path / "pettingzoo", "mpe", "")
    (tmp_path / "pettingzoo" / "mpe" / "simple_spread_v3.py").write_text("own = True")
    code = "import pettingzoo.mpe.simple_spread_v3 as found; print(found.own)"
    assert answer(checkout, code, tmp_path) == "True"


@pytest.mark.slow
def test_without_smaclite_the_environments_import(checkout: Checkout) -> None:
    code = "import envs, smaclite; print(smaclite.__spec__, 'gymma' in envs.REGISTRY)"
    assert answer(checkout, code) == "None True"


@pytest.mark.slow
def test_a_smaclite_that_does_not_import_is_as_good_as_none(checkout: Checkout, tmp_path: Path) -> None:
    package(tmp_path, "smaclite", "raise OSError('could not find the spatial index library')")
    code = "import envs, smaclite; print(smaclite.__spec__, 'gymma' in envs.REGISTRY)"
    assert answer(checkout, code, tmp_path) == "None True"


@pytest.mark.parametrize("name", ["pkg_resources", "smaclite", "tensorboard_logger"])
def test_a_package_that_is_there_is_preferred(checkout: Checkout, tmp_path: Path, name: str) -> None:
    package(tmp_path, name, "own = True")
    assert answer(checkout, f"import {name}; print({name}.own)", tmp_path) == "True"


def test_tensorboard_reads_what_epymarl_logs(checkout: Checkout, tmp_path: Path) -> None:
    pytest.importorskip("tensorboard")
    code = f"""
import logging
from utils.logging import Logger
logger = Logger(logging.getLogger())
logger.setup_tb({str(tmp_path)!r})
for step in range(3):
    logger.log_stat("return_mean", step / 2, 10 * step, to_sacred=False)
"""
    answer(checkout, code)
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    events = EventAccumulator(str(tmp_path)).Reload().Scalars("return_mean")
    assert [(event.step, event.value) for event in events] == [(0, 0.0), (10, 0.5), (20, 1.0)]


def test_install_may_be_called_again(checkout: Checkout) -> None:
    code = """
before = len(sys.path), len(sys.meta_path), sys.modules["pkg_resources"]
compat.install(Path(sys.argv[1]))
print((len(sys.path), len(sys.meta_path), sys.modules["pkg_resources"]) == before)
"""
    assert answer(checkout, code) == "True"
