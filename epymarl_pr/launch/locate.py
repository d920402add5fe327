"""Where the user's EPyMARL checkout is. EPyMARL is not on PyPI; it is read in place and never written to."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from epymarl_pr.launch.errors import UsageError

REPOSITORY = "https://github.com/uoe-agents/epymarl"
TESTED_COMMIT = "cbc38c0"
ENVIRONMENT_VARIABLE = "EPYMARL_HOME"


@dataclass(frozen=True)
class Checkout:
    """An EPyMARL checkout.

    root: its top folder
    commit: its full commit hash, or None where git can't tell
    """

    root: Path
    commit: str | None

    @property
    def src(self) -> Path:
        """The folder that ``main.py`` puts on the import path."""
        return self.root / "src"

    @property
    def tested(self) -> bool:
        """Whether this is the commit that the learners were tested with."""
        return self.commit is not None and self.commit.startswith(TESTED_COMMIT)

    def warning(self) -> str | None:
        """What to tell the user about the version; None for the tested commit."""
        if self.tested:
            return None
        found = f"commit {self.commit[:12]}" if self.commit else "an unknown commit (git could not tell)"
        return (
            f"{self.root} is at {found}; epymarl_pr is tested with {TESTED_COMMIT}. If something fails, run "
            f"'git -C {self.root} checkout {TESTED_COMMIT}'."
        )


def find(given: str | os.PathLike[str] | None = None) -> Checkout:
    """The checkout: ``given``, else $EPYMARL_HOME, else the current directory or the first of its parents that is
    one, else ./epymarl, ../epymarl, ~/epymarl.

    :raises UsageError: if there is none, or if the one that was named is none
    """
    named = given or os.environ.get(ENVIRONMENT_VARIABLE)
    if named:
        root = Path(named).expanduser()
        if not is_checkout(root):
            source = "--epymarl-dir" if given else f"${ENVIRONMENT_VARIABLE}"
            raise UsageError(
                f"{source}={named}: not an EPyMARL checkout (expected src/main.py and src/config/algs in it). "
                f"Clone {REPOSITORY} there, or name the folder that holds it."
            )
        return _checkout(root)
    for root in _candidates():
        if is_checkout(root):
            return _checkout(root)
    raise UsageError(
        "no EPyMARL checkout found in the current directory, its parents, ./epymarl, ../epymarl or ~/epymarl. Run\n"
        f"  git clone {REPOSITORY} ~/epymarl && git -C ~/epymarl checkout {TESTED_COMMIT}\n"
        f"or name your checkout with --epymarl-dir=PATH or ${ENVIRONMENT_VARIABLE}."
    )


def is_checkout(root: Path) -> bool:
    """Whether ``root`` holds EPyMARL."""
    return (root / "src" / "main.py").is_file() and (root / "src" / "config" / "algs").is_dir()


def _candidates() -> Iterator[Path]:
    here = Path.cwd()
    yield from (here, *here.parents)
    yield from (here / "epymarl", here.parent / "epymarl", Path.home() / "epymarl")


def _checkout(root: Path) -> Checkout:
    root = root.resolve()
    return Checkout(root, _commit(root))


def _commit(root: Path) -> str | None:
    """HEAD of the repository whose top folder is ``root``."""
    if not (root / ".git").exists():
        return None
    command = ["git", "-c", f"safe.directory={root}", "-C", str(root), "rev-parse", "HEAD"]
    try:
        found = subprocess.run(command, capture_output=True, text=True, check=True, timeout=10)
    except (OSError, subprocess.SubprocessError):
        return None
    return found.stdout.strip()
