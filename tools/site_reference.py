"""Pages of the site's reference that parsers and tables say: python tools/site_reference.py"""

from __future__ import annotations

import contextlib
import io
import os
from pathlib import Path
from unittest import mock

from epymarl_pr.launch import options
from marl_pr_common import cli

FOLDER = Path(__file__).parents[1] / "docs" / "reference"
GENERATED = "<!-- written by tools/site_reference.py -->"


def help_of(command: str) -> str:
    """What ``marl-pr COMMAND --help`` prints, 100 columns wide."""
    printed = io.StringIO()
    plain = {"COLUMNS": "100", "NO_COLOR": "1", "TERM": "dumb"}
    with mock.patch.dict(os.environ, plain), contextlib.redirect_stdout(printed), contextlib.suppress(SystemExit):
        cli.main([command, "--help"])
    return "\n".join(line.rstrip() for line in printed.getvalue().strip().splitlines())


def command_line() -> str:
    """Every command with its help."""
    parts = [f"# Command line\n\n{GENERATED}\n\nWhat `marl-pr COMMAND --help` prints."]
    for name, text in cli.COMMANDS.items():
        parts.append(f"## marl-pr {name}\n\n{text[0].upper()}{text[1:]}.\n\n```text\n{help_of(name)}\n```")
    return "\n\n".join(parts) + "\n"


def pr_keys() -> str:
    """Every ``pr_*`` key with its default."""
    rows = "\n".join(f"| `{key}` | `{value}` |" for key, value in options.defaults().items() if key != "pr_version")
    said = "What `python -m epymarl_pr --pr-keys` prints. What they mean: [EPyMARL](../epymarl.md#keys)."
    return f"# pr_* keys\n\n{GENERATED}\n\n{said}\n\n| key | default |\n|---|---|\n{rows}\n"


PAGES = {"command-line.md": command_line, "pr-keys.md": pr_keys}

if __name__ == "__main__":
    for name, page in PAGES.items():
        (FOLDER / name).write_text(page(), encoding="utf-8")
