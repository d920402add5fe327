"""Whole runs through the launcher: without transfer, what MAPTF and DVM save is what MADDPG saves."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch as th

from epymarl_pr.launch.locate import Checkout
from tests.epymarl import runs
from tests.epymarl.test_identical import same

SPREAD = "epymarl_pr:spread-3-v0"
SAVE = ["save_model=True", "save_model_interval=200", "hidden_dim=16", "t_max=500"]
OFF = [
    ("maptf", ["maptf_options=self"]),
    ("maptf", ["maptf_c1=0.0", "maptf_option_start=100"]),
    ("maptf_pr", ["maptf_c1=0.0", "pr_kappa=0.0"]),
    ("dvm", []),
]


def models(checkout_root: Path, name: str, folder: Path, settings: list[str]) -> dict[str, Any]:
    """Every file that a run saves, by step and name."""
    runs.run(runs.command(checkout_root, name, SPREAD, *SAVE, *settings), folder)
    found = sorted((folder / "results" / "models").glob("*/*/*.th"))
    return {f"{file.parent.name}/{file.name}": plain(th.load(file, weights_only=False)) for file in found}


def plain(value: Any) -> Any:
    return {key: plain(item) for key, item in value.items()} if isinstance(value, dict) else value


@pytest.mark.slow
def test_without_transfer_a_run_is_that_of_its_base(checkout: Checkout, tmp_path: Path) -> None:
    root = runs.clone(checkout, tmp_path / "epymarl")
    expected = models(root, "maddpg_ns", tmp_path / "base", [])
    assert len(expected) == 4 * 3
    for number, (name, settings) in enumerate(OFF):
        assert same(models(root, name, tmp_path / str(number), settings), expected), (name, settings)
    moved = models(root, "dvm", tmp_path / "dvm", ["dvm_episodes=8", "dvm_minibatches=3", "dvm_batch_size=16"])
    assert not same(moved, expected)
