"""Fuzzed environments: a run learns what a plain reference does, or ends in a ValueError; kernels keep their bounds."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from marl_pr_common import checkpoint
from marl_pr_common.envs.jit import HAS_NUMBA
from marl_pr_common.reciprocity import peers
from tests.tabular import chaos


@pytest.mark.parametrize(
    "masks, graph", [("", "complete"), ("infos", "complete"), ("observations", "ring"), ("", "ring")]
)
@pytest.mark.parametrize("name", chaos.CONFIGS)
@pytest.mark.few(10)
def test_what_is_learnt_is_what_a_plain_reference_learns(name: str, masks: str, graph: str) -> None:
    chaos.check(11, name, masks, None if graph == "complete" else peers.ring(3))


@pytest.mark.parametrize("number", range(len(chaos.WRONG)))
def test_a_violation_is_refused(number: int) -> None:
    with pytest.raises(ValueError, match="agent|agents|possible_agents"):
        chaos.run(3, "decision", "infos", wrong=chaos.WRONG[number])


@pytest.mark.skipif(not HAS_NUMBA, reason="needs the extra fast")
@pytest.mark.slow
def test_kernels_keep_their_bounds(tmp_path: Path) -> None:
    variables = {**os.environ, "NUMBA_BOUNDSCHECK": "1", "NUMBA_CACHE_DIR": str(tmp_path), "OMP_NUM_THREADS": "1"}
    command = [sys.executable, "-m", "tests.tabular.chaos"]
    root = Path(__file__).resolve().parents[2]
    result = subprocess.run(command, capture_output=True, text=True, env=variables, cwd=root)
    assert result.returncode == 0, result.stderr


def test_a_trainer_goes_on_among_waiting_agents_bit_for_bit(tmp_path: Path) -> None:
    """Transitions under way and masks are part of its state."""
    half, again = (chaos.run(5, "decision, mean", "infos", steps=steps) for steps in (50, 1))
    while not half._pending.open.any():
        half.train(1)
    whole = chaos.run(5, "decision, mean", "infos", steps=half.learner.steps)
    assert half.learner.rules.tried
    checkpoint.save(tmp_path, half.state_dict(), step=half.learner.steps)
    again.load_state_dict(checkpoint.load(tmp_path).tree)
    for trainer in (whole, again):
        trainer.train(40)
    np.testing.assert_array_equal(whole.learner.q, again.learner.q)
    np.testing.assert_array_equal(whole.evaluate(2).returns, again.evaluate(2).returns)
