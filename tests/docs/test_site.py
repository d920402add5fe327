"""The documentation: every internal link and anchor leads somewhere, and what is generated is as its generator says."""

from __future__ import annotations

import importlib
import importlib.util
import re
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import yaml

from epymarl_pr.launch.errors import UsageError
from epymarl_pr.launch.locate import find
from marl_pr_common import cli
from marl_pr_common.study.config import load_study

ROOT = Path(__file__).parents[2]
PAGES = [ROOT / "README.md", *sorted(path for path in (ROOT / "docs").rglob("*.md") if "results" not in path.parts)]
TUTORIALS = sorted((ROOT / "docs" / "tutorials").glob("*.md"))
FENCE = re.compile(r"^```.*?^```", re.DOTALL | re.MULTILINE)


def tool(path: str) -> ModuleType:
    """A script of the repository as a module."""
    spec = importlib.util.spec_from_file_location(Path(path).stem, ROOT / path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def anchors(page: Path) -> set[str]:
    """Of a page's headings, as GitHub and the site make them."""
    headings = re.findall(r"^#+ (.+)$", FENCE.sub("", page.read_text()), re.MULTILINE)
    return {re.sub(r"[ ]", "-", re.sub(r"[^\w\- ]", "", title.lower().strip())) for title in headings}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_link_leads_somewhere(page: Path) -> None:
    text = re.sub(r"`[^`\n]*`", "", FENCE.sub("", page.read_text()))
    for link in re.findall(r"\]\(([^)\s]+)\)", text):
        if re.match(r"[a-z]+:", link):
            continue
        name, _, anchor = link.partition("#")
        target = (page.parent / name).resolve() if name else page
        assert target.exists(), link
        assert not anchor or anchor in anchors(target), link


def nav(entry: Any) -> list[str]:
    if isinstance(entry, str):
        return [entry]
    return [name for part in (entry.values() if isinstance(entry, dict) else entry) for name in nav(part)]


def test_every_page_is_in_the_menu_once() -> None:
    listed = nav(yaml.safe_load((ROOT / "mkdocs.yml").read_text())["nav"])
    assert sorted(listed) == sorted(str(page.relative_to(ROOT / "docs")) for page in PAGES[1:])


def test_names_of_the_reference_are_there() -> None:
    for page in (ROOT / "docs" / "reference").glob("*.md"):
        for name in re.findall(r"^::: (\S+)$", page.read_text(), re.MULTILINE):
            module, _, attribute = name.rpartition(".")
            found = importlib.import_module(module)
            assert hasattr(found, attribute) or importlib.util.find_spec(name), name


def test_the_pages_of_parsers_are_theirs() -> None:
    reference = tool("tools/site_reference.py")
    if sys.version_info[:2] == (3, 11):  # argparse's words differ between versions
        page = (ROOT / "docs" / "reference" / "command-line.md").read_text()
        assert page == reference.command_line(), "python tools/site_reference.py writes it anew"
    assert (ROOT / "docs" / "reference" / "pr-keys.md").read_text() == reference.pr_keys()


@pytest.mark.parametrize("page", TUTORIALS, ids=lambda page: page.stem)
def test_every_command_of_a_tutorial_has_an_output_and_every_figure_is_there(page: Path) -> None:
    steps = list(tool("docs/tutorials/run.py").STEP.finditer(page.read_text()))
    assert {step["kind"] for step in steps} >= {"run", "figure"}
    for step in steps:
        if step["kind"] == "run":
            assert step["shown"], step["code"]
        elif step["kind"] == "figure":
            assert (page.parent / "figures" / f"{page.stem}-{Path(step['value']).name}").is_file()
    blocks = [fence for fence in FENCE.findall(page.read_text()) if not fence.startswith("```text")]
    assert len(blocks) == sum(step["code"] is not None for step in steps), "a block that nobody runs"


@pytest.mark.slow
@pytest.mark.parametrize("page", TUTORIALS, ids=lambda page: page.stem)
def test_a_tutorial_runs(page: Path, tmp_path: Path) -> None:
    if page.stem == "epymarl":
        try:
            find()
        except UsageError:
            pytest.skip("needs a checkout of EPyMARL")
    run, text = tool("docs/tutorials/run.py"), page.read_text()
    folder = tmp_path / "run"
    folder.mkdir()
    new = run.outputs(text, folder, page.stem, tmp_path / "figures")
    assert stable(new) == stable(text)


def stable(text: str) -> list[str]:
    """A tutorial without numbers, which depend on the machine, and without lines that hold times."""
    lines = [line for line in text.splitlines() if not re.search(r"\d (s|min|h)\b", line)]
    return [re.sub(r"[-+]?\d[\d.,]*", "N", line) for line in lines]


PLANS = re.findall(
    r"^\| `marl-pr study (\w+) --scale (\w+)` \| (\d+) \| (.+) \|$",
    (ROOT / "docs" / "reproduce.md").read_text(),
    re.MULTILINE,
)


def test_cells_of_figures_are_those_of_their_studies() -> None:
    figures = ("fig4", "fig5", "fig5_ddpg", "fig6", "fig6_starcraft", "fig6_3m", "fig7a", "fig7b", "fig7c", "fig8")
    assert {name for name, *_ in PLANS} == set(figures)
    for name, scale, cells, _ in PLANS:
        study = load_study(name).at(scale)
        assert int(cells) == len(study.arms) * len(study.tasks) * len(study.seeds), (name, scale)


@pytest.mark.slow
@pytest.mark.parametrize(("name", "scale", "cells", "time"), PLANS, ids=lambda value: value)
def test_times_of_figures_are_those_of_the_plan(
    name: str, scale: str, cells: str, time: str, capfd: pytest.CaptureFixture[str]
) -> None:
    if load_study(name).host == "epymarl":
        try:
            find()
        except UsageError:
            pytest.skip("needs a checkout of EPyMARL")
    assert cli.main(["study", name, "--scale", scale, "--dry-run"]) == 0
    printed = "".join(capfd.readouterr())
    assert f"Plan: {cells} cells" in printed
    assert f"time: {time} (" in printed or ("few minutes" in time and "about" not in time), printed
