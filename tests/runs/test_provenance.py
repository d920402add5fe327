"""What was run is recorded as it was, and a commit is ours only where the code is tracked."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

from marl_pr_common.runs import provenance


@dataclass(frozen=True)
class Inner:
    shape: tuple[int, ...] = (1, 2)


@dataclass(frozen=True)
class Outer:
    folder: Path = Path("a/b")
    inner: Inner = Inner()


@pytest.fixture
def checkout(tmp_path):
    if shutil.which("git") is None:
        pytest.skip("git is not installed")

    def git(*arguments):
        identity = ["-c", "user.name=t", "-c", "user.email=t@t", "-c", "commit.gpgsign=false"]
        subprocess.run(["git", "-C", str(tmp_path), *identity, *arguments], check=True, capture_output=True)

    git("init")
    (tmp_path / "tracked.py").write_text("a = 1\n")
    git("add", "tracked.py")
    git("commit", "-m", "first")
    return tmp_path


def test_commit_and_changes_of_the_checkout_are_recorded(checkout):
    head = (checkout / ".git" / "HEAD").read_text().split()[-1]
    clean = provenance.git_state(checkout / "tracked.py")
    assert clean == {"commit": (checkout / ".git" / head).read_text().strip(), "dirty": False}
    (checkout / "tracked.py").write_text("a = 2\n")
    changed = provenance.git_state(checkout / "tracked.py")
    assert changed == {**clean, "dirty": True}


def test_a_file_that_a_repository_does_not_track_is_not_its_commit(checkout):
    environment = checkout / ".venv" / "marl_pr_common"
    environment.mkdir(parents=True)
    (environment / "provenance.py").touch()
    assert provenance.git_state(environment / "provenance.py") is None


def test_record_is_plain_json_with_everything_that_a_repetition_needs(tmp_path):
    provenance.record(tmp_path, Outer(), 7, engine="host 1.0")
    content = json.loads((tmp_path / provenance.RUN).read_text())
    assert content["config"] == {"folder": "a/b", "inner": {"shape": [1, 2]}}
    assert (content["seed"], content["engine"]) == (7, "host 1.0")
    assert content["python"] == ".".join(map(str, sys.version_info[:3]))
    assert content["hardware"]["cpus_usable"] >= 1
    assert set(content["versions"]) == set(provenance.PACKAGES)
    assert content["versions"]["numpy"].count(".") >= 1
    assert content["command"]
