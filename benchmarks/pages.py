"""Texts that scripts make and pages keep, each between two marks: ``<!-- name -->`` and ``<!-- /name -->``."""

from __future__ import annotations

import argparse
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
    opened, closed = f"<!-- {mark} -->\n", f"<!-- /{mark} -->"
    page = path.read_text(encoding="utf-8")
    before, _, rest = page.partition(opened)
    _, _, after = rest.partition(closed)
    if page.count(opened) != 1 or rest.count(closed) != 1:
        raise SystemExit(f"{path}: expected the marks {opened.strip()} and {closed} once, in this order.")
    write_text(path, f"{before}{opened}{text}\n{closed}{after}")
