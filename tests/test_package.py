"""What is published: an sdist, the wheel built from it, and an empty environment into which that is installed."""

from __future__ import annotations

import subprocess
import sys
import zipfile
from collections.abc import Iterable
from importlib.metadata import Distribution, distribution, distributions
from pathlib import Path

import pytest
import yaml
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from marl_pr_common import __version__

ROOT = Path(__file__).parents[1]
STUDY = """
host: tabular
seeds: [0, 1]
settings: {steps_per_agent: 400, eval_every: 200, eval_episodes: 2}
tasks: {Cliff-4: {}}
arms: {iql: {}, iql_pr: {}}
"""


def run(*command: str | Path, cwd: Path, code: int = 0) -> str:
    done = subprocess.run([*map(str, command)], cwd=cwd, capture_output=True, text=True, check=False)
    assert done.returncode == code, done.stdout + done.stderr
    return done.stdout + done.stderr


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("dist")
    run(sys.executable, "-m", "build", "--no-isolation", "--outdir", out, ROOT, cwd=out)
    assert [path.name for path in out.glob("*.tar.gz")] == [f"marl_pr-{__version__}.tar.gz"]
    return next(out.glob("*.whl"))


def test_the_wheel_has_all_that_the_packages_have(wheel: Path) -> None:
    packed = {name for name in zipfile.ZipFile(wheel).namelist() if ".dist-info/" not in name}
    tracked = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=False).stdout.split()
    if not tracked:
        pytest.skip("not a git checkout")
    ours = {name for name in tracked if name.startswith(("marl_pr_common/", "sb3_pr/", "epymarl_pr/"))}
    assert packed == ours | {f"marl_pr_common/{name}" for name in tracked if name.startswith("configs/")}


def needed(requirements: Iterable[Requirement], extras: set[str], found: dict[str, Distribution]) -> None:
    """Put what is required, and what that requires, into ``found``, from the packages that are installed here."""
    for one in requirements:
        name = f"{canonicalize_name(one.name)}{sorted(one.extras)}"
        applies = one.marker is None or any(one.marker.evaluate({"extra": extra}) for extra in {"", *extras})
        if applies and name not in found:
            found[name] = distribution(one.name)
            needed(map(Requirement, found[name].requires or ()), one.extras, found)


def alone(folder: Path) -> Path:
    """Where an empty environment has its programs."""
    run(sys.executable, "-m", "venv", "alone", cwd=folder)
    return folder / "alone" / "bin"


def check_it_works(bin_: Path, folder: Path) -> None:
    assert run(bin_ / "marl-pr", "--version", cwd=folder).strip() == f"marl-pr {__version__}"
    assert "iql_pr_decision" in run(bin_ / "marl-pr", "list", cwd=folder)
    (folder / "tiny.yaml").write_text(STUDY)
    run(bin_ / "marl-pr", "study", "tiny.yaml", "--out", "tiny", cwd=folder)
    assert "<html" in (folder / "tiny" / "report.html").read_text()
    missing = run(bin_ / "marl-pr", "train", "--config", "pendulum", "--out", "runs", cwd=folder, code=2)
    assert missing.count("pip install") == 1
    assert 'pip install "marl-pr[sb3]"' in missing


def test_it_works_where_only_what_it_requires_is(wheel: Path, tmp_path: Path) -> None:
    """With links to what is installed here: pip alone takes a minute for it."""
    bin_ = alone(tmp_path)
    run(bin_ / "python", "-m", "pip", "install", "-q", "--no-compile", "--no-deps", "--no-index", wheel, cwd=tmp_path)
    (site,) = (tmp_path / "alone" / "lib").glob("python*/site-packages")
    required: dict[str, Distribution] = {}
    declared = next(iter(distributions(name="marl-pr", path=[str(site)]))).requires or ()
    needed(map(Requirement, declared), {"mpe"}, required)
    for package in required.values():
        for name in {file.parts[0] for file in package.files or () if ".." not in file.parts}:
            if not (site / name).exists():
                (site / name).symlink_to(str(package.locate_file(name)))
    check_it_works(bin_, tmp_path)


@pytest.mark.slow
def test_pip_installs_it_where_nothing_is(wheel: Path, tmp_path: Path) -> None:
    bin_ = alone(tmp_path)
    pip = (bin_ / "python", "-m", "pip", "install", "-q", "--no-compile", "-c", ROOT / "constraints.txt")
    run(*pip, f"{wheel}[mpe]", cwd=tmp_path)
    check_it_works(bin_, tmp_path)


def test_who_is_cited_is_what_is_installed() -> None:
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text())
    newest = next(line for line in (ROOT / "CHANGELOG.md").read_text().splitlines() if line.startswith("## [0"))
    assert (citation["version"], newest) == (__version__, f"## [{__version__}] - {citation['date-released']}")
