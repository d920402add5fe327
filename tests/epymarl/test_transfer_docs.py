"""The pages of MAPTF and DVM name every key with its default and everything that is logged."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from epymarl_pr.transfer import table as transfer

ROOT = Path(__file__).parents[2]
PAGES = {kind: (ROOT / "docs" / f"{kind}.md").read_text() for kind in transfer.CONFIGS}
KEYS = [(kind, key, value) for kind in transfer.CONFIGS for key, value in transfer.defaults(kind).items()]
LOGGED = {
    "maptf": "option_W option_self termination_rate transfer_weight transfer_loss termination_loss successor_loss "
    "reward_loss",
    "dvm": "policy_loss policy_loss_first value_loss value_loss_first distillations",
}


@pytest.mark.parametrize("kind, key, value", KEYS)
def test_every_key_stands_there_with_its_default(kind: str, key: str, value: object) -> None:
    assert f"| `{key}` | `{value}` |" in PAGES[kind]


@pytest.mark.parametrize("kind", PAGES)
def test_every_name_that_stands_there_is_one(kind: str) -> None:
    logged = {f"{kind}_{name}" for name in LOGGED[kind].split()}
    known = {*transfer.defaults(kind), *logged, *transfer.ALGORITHMS, *(f"{name}_pr" for name in transfer.ALGORITHMS)}
    named = set(re.findall(rf"`({kind}_\w+)", PAGES[kind]))
    assert named <= known
    assert logged <= named


def test_the_readme_leads_there() -> None:
    readme = (ROOT / "README.md").read_text()
    for kind in PAGES:
        assert f"(docs/{kind}.md)" in readme
