from __future__ import annotations

import pytest

from marl_pr_common.envs import make

pytest.importorskip("pettingzoo")
from pettingzoo.test import parallel_api_test, parallel_seed_test

NAMES = [
    "Landmarks-2",
    "Landmarks-10",
    "Navigation-1",
    "Navigation-3",
    "Navigation-10",
    "Blocker-2",
    "Blocker-3",
    "Digital",
]


@pytest.mark.parametrize("name", NAMES)
def test_parallel_api(name: str) -> None:
    parallel_api_test(make(name), num_cycles=300)


@pytest.mark.parametrize("name", NAMES)
def test_parallel_seed(name: str) -> None:
    parallel_seed_test(lambda: make(name))


def test_digital_copies_api() -> None:
    parallel_api_test(make("Digital", coupling="copies", n_agents=3), num_cycles=250)
    parallel_seed_test(lambda: make("Digital", coupling="copies", n_agents=3))
