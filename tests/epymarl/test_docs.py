"""The documentation page names every key with its default, and every command of it exists."""

from __future__ import annotations

import importlib.util
import re
from pathlib import Path

import pytest

from epymarl_pr.launch import locate, options

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "epymarl.md").read_text()


@pytest.mark.parametrize("key", options.defaults())
def test_every_key_stands_there_with_its_default(key: str) -> None:
    default = "set by the launcher" if key == "pr_version" else f"`{options.defaults()[key]}`"
    assert f"| `{key}` | {default} |" in PAGE


def test_every_key_that_stands_there_is_one() -> None:
    logged = {"pr_own_value", "pr_peer_value", "pr_value_gap", "pr_critic_disagreement", "pr_masked_peer_values"}
    assert set(re.findall(r"\bpr_[a-z_]*[a-z]\b", PAGE)) - logged == options.defaults().keys()


def test_commands_and_commit() -> None:
    for module in set(re.findall(r"python -m (epymarl_pr[.\w]*)", PAGE)):
        assert importlib.util.find_spec(module) is not None, module
    assert f"checkout {locate.TESTED_COMMIT}" in PAGE
    assert locate.REPOSITORY in PAGE


def test_the_readme_leads_there() -> None:
    readme = (ROOT / "README.md").read_text()
    for page in ("epymarl", "environments"):
        assert f"(docs/{page}.md)" in readme
    assert "[sb3,epymarl,mpe,fast]" in readme
    assert "[sb3,epymarl,mpe,fast]" in (ROOT / "Makefile").read_text()
