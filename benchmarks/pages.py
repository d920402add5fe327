"""Texts that scripts make and pages keep, each between two marks: ``<!-- name -->`` and ``<!-- /name -->``."""

from __future__ import annotations

import argparse
import re
from pathlib import Path

from marl_pr_common.runs.files import write_text


def add_write(parser: argparse.ArgumentParser, mark: str) -> None:
    """The option ``--write``, which :func:`deliver` takes."""
    parser.add_argument("--write", type=Path, help=f"page with the marks <!-- {mark} --> and <!-- /{mark} -->")


def deliver(text: str, mark: str, path: Path | None) -> None:
    """Print the text, or put it between the marks of a page.

    :raises SystemExit: if the page does not have the marks once
    """
    if path is None:
        print(text)
        return
    block = rf"(<!-- {mark} -->\n).*(<!-- /{mark} -->)"
    page = path.read_text(encoding="utf-8")
    page, marks = re.subn(block, lambda found: f"{found[1]}{text}\n{found[2]}", page, flags=re.DOTALL)
    if marks != 1:
        raise SystemExit(f"{path}: expected the marks <!-- {mark} --> and <!-- /{mark} --> once.")
    write_text(path, page)
