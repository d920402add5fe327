"""Which checkout is taken, and what is said when there is none, or another one."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

from epymarl_pr.launch import locate
from epymarl_pr.launch.errors import UsageError

GIT = ["git", "-c", "user.name=somebody", "-c", "user.email=s@example.org", "-c", "commit.gpgsign=false"]


def made(root: Path) -> Path:
    """The least that counts as a checkout."""
    (root / "src" / "config" / "algs").mkdir(parents=True)
    (root / "src" / "main.py").touch()
    return root


@pytest.fixture
def nowhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder from which no checkout can be seen."""
    monkeypatch.delenv(locate.ENVIRONMENT_VARIABLE, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    here = tmp_path / "work" / "here"
    here.mkdir(parents=True)
    monkeypatch.chdir(here)
    return here


@pytest.mark.parametrize("place", [".", "..", "epymarl", "../epymarl", "~/epymarl"])
def test_places(nowhere: Path, place: str) -> None:
    root = made((nowhere / Path(place).expanduser()).resolve())
    assert locate.find().root == root


def test_a_name_wins_over_the_variable_and_the_variable_over_the_folder(
    nowhere: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made(nowhere)
    variable, named = made(nowhere.parent / "variable"), made(nowhere.parent / "named")
    monkeypatch.setenv(locate.ENVIRONMENT_VARIABLE, str(variable))
    assert locate.find().root == variable
    assert locate.find(named).root == named


def test_none_says_what_to_do(nowhere: Path) -> None:
    with pytest.raises(UsageError, match=f"git clone {locate.REPOSITORY}.*checkout {locate.TESTED_COMMIT}"):
        locate.find()


def test_a_wrong_name_is_not_replaced_by_another_checkout(nowhere: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made(nowhere)
    with pytest.raises(UsageError, match=f"--epymarl-dir={nowhere.parent}: not an EPyMARL checkout"):
        locate.find(nowhere.parent)
    monkeypatch.setenv(locate.ENVIRONMENT_VARIABLE, str(nowhere.parent))
    with pytest.raises(UsageError, match=rf"\${locate.ENVIRONMENT_VARIABLE}={nowhere.parent}"):
        locate.find()


@pytest.mark.skipif(shutil.which("git") is None, reason="needs git")
def test_another_commit_is_a_warning(nowhere: Path) -> None:
    root = made(nowhere)
    assert "unknown commit" in str(locate.find(root).warning())
    for command in (["init", "-q"], ["add", "-A"], ["commit", "-q", "-m", "first"]):
        subprocess.run([*GIT, *command], cwd=root, check=True)
    found = locate.find(root)
    assert found.commit is not None
    assert len(found.commit) == 40
    assert f"commit {found.commit[:12]}" in str(found.warning())
    assert locate.TESTED_COMMIT in str(found.warning())
    assert locate.Checkout(root, locate.TESTED_COMMIT + "0" * 33).warning() is None


def test_the_commit_of_a_repository_around_it_is_not_its_own(nowhere: Path) -> None:
    root = made(nowhere / "epymarl")
    subprocess.run([*GIT, "init", "-q"], cwd=nowhere, check=True)
    subprocess.run([*GIT, "commit", "-q", "--allow-empty", "-m", "first"], cwd=nowhere, check=True)
    assert locate.find(root).commit is None
