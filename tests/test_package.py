"""What is published: an sdist, the wheel built from it, and an empty environment into which that is installed."""

from __future__ import annotations

import subprocess
import sys
import zipfile
from pathlib import Path

import pytest
import yaml

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


def test_it_works_where_nothing_else_is(wheel: Path, tmp_path: Path) -> None:
    run(sys.executable, "-m", "venv", "alone", cwd=tmp_path)
    bin_ = tmp_path / "alone" / "bin"
    run(
        bin_ / "python",
        "-m",
        "pip",
        "install",
        "-q",
        "--no-compile",
        "-c",
        ROOT / "constraints.txt",
        f"{wheel}[mpe]",
        cwd=tmp_path,
    )
    assert run(bin_ / "marl-pr", "--version", cwd=tmp_path).strip() == f"marl-pr {__version__}"
    assert "iql_pr_decision" in run(bin_ / "marl-pr", "list", cwd=tmp_path)
    (tmp_path / "tiny.yaml").write_text(STUDY)
    run(bin_ / "marl-pr", "study", "tiny.yaml", "--out", "tiny", cwd=tmp_path)
    assert "<html" in (tmp_path / "tiny" / "report.html").read_text()
    missing = run(bin_ / "marl-pr", "train", "--config", "pendulum", "--out", "runs", cwd=tmp_path, code=2)
    assert missing.count("pip install") == 1
    assert 'pip install "marl-pr[sb3]"' in missing


def test_who_is_cited_is_what_is_installed() -> None:
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text())
    newest = next(line for line in (ROOT / "CHANGELOG.md").read_text().splitlines() if line.startswith("## [0"))
    assert (citation["version"], newest) == (__version__, f"## [{__version__}] - {citation['date-released']}")
