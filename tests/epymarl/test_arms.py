"""The learners' records: every class is one of EPyMARL's learners, and every arm made of them passes a run's checks."""

from __future__ import annotations

from typing import Any

import pytest

from epymarl_pr.launch import derive, options
from epymarl_pr.learners import table
from epymarl_pr.study.arms import arms
from epymarl_pr.transfer import table as transfer
from tests.epymarl import hosts

ARMS = {name: arm for name, arm in arms().items() if arm.settings["config"].endswith(derive.SUFFIX)}


def test_every_arm_can_be_run(checkout: Any) -> None:
    for name, arm in ARMS.items():
        settings = dict(arm.settings)
        found = derive.algorithm(checkout, settings.pop("config"), settings)
        assert found is not None, name
        given = {**found, **settings}
        if given.get("pr_act"):
            assert options.parse(given, n_agents=4).reciprocity.kappa == (1.0 if "trust" in name else 0.75), name


@pytest.mark.parametrize("host", table.LEARNERS)
def test_a_record_is_of_a_learner_of_the_hosts(checkout: Any, host: str) -> None:
    from learners import REGISTRY

    record = table.LEARNERS[host]
    assert issubclass(table.made(record.made_by), REGISTRY[host])
    for algorithm in record.algorithms:
        config = derive.algorithm(checkout, f"{algorithm}_pr", {})
        assert config is not None
        assert config["learner"] == table.OURS + host
        assert algorithm in hosts.ALGORITHMS


def test_options_of_records_are_ones_that_there_are() -> None:
    known = {key.removeprefix(options.PREFIX) for key in options.defaults()}
    assert set(table.WHY) <= known
    for record in table.LEARNERS.values():
        assert record.has <= set(table.WHY)


def test_transfer_learners_are_made_too(checkout: Any) -> None:
    for algorithm in transfer.ALGORITHMS.values():
        assert hasattr(table.made(algorithm.made_by), "train")
