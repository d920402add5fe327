"""EPyMARL's registries, with the learners and the environment of this package added."""

from __future__ import annotations

import functools
from collections.abc import Mapping
from typing import Any

from epymarl_pr.learners import table
from epymarl_pr.transfer import table as transfer


def learners() -> None:
    """Add the reciprocal learners to EPyMARL's ``learners.REGISTRY``.

    The checkout must be on the import path (:func:`epymarl_pr.launch.compat.install`).
    """
    from learners import REGISTRY

    for host, record in table.LEARNERS.items():
        REGISTRY[table.OURS + host] = table.made(record.made_by)
    for algorithm in transfer.ALGORITHMS.values():
        REGISTRY[algorithm.learner] = table.made(algorithm.made_by)


def replay(learner: str) -> None:
    """Let EPyMARL's ``run.py`` make the replay buffer that a learner needs.

    :param learner: its name in the registry
    """
    if learner in {found.learner for found in transfer.ALGORITHMS.values()}:
        import run

        from epymarl_pr.transfer.replay import TransferReplay

        run.ReplayBuffer = TransferReplay


def environments() -> None:
    """Add SMAX, and SMACv2's package on SMAC's maps, to EPyMARL's ``envs.REGISTRY``."""
    from envs import REGISTRY

    from epymarl_pr.envs import smax, starcraft

    REGISTRY[smax.NAME] = smax.make
    REGISTRY[starcraft.SMACV2] = starcraft.make_smacv2


def runners() -> None:
    """Add ``runner=vectorised`` to EPyMARL's ``runners.REGISTRY``."""
    from runners import REGISTRY

    from epymarl_pr.envs.vectorised import VectorisedRunner

    REGISTRY["vectorised"] = VectorisedRunner


def guards(config: Mapping[str, Any]) -> None:
    """Have environments, workers and learners say in one message why they fail.

    :param config: the whole configuration of the run
    """
    from envs import REGISTRY as ENVIRONMENTS
    from learners import REGISTRY as LEARNERS

    from epymarl_pr.envs import workers
    from epymarl_pr.envs.guarded import GuardedFactory, Uses
    from epymarl_pr.learners.guarded import guarded

    listens = config.get("pr_kappa", 0) != 0 and not config.get("pr_own_critics")
    all_are_peers = listens and config.get("pr_peers") != "matrix"
    uses = Uses(bool(config.get("render")), all_are_peers, bool(config.get("pr_shared_experience")))
    for name, make in list(ENVIRONMENTS.items()):
        ENVIRONMENTS[name] = GuardedFactory(getattr(make, "make", make), uses)
    for name, learner in list(LEARNERS.items()):
        LEARNERS[name] = functools.partial(guarded, learner)
    workers.install()
