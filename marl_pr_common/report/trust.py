"""Whom agents trust at the end of training, from the weights that hosts log pair by pair."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pandas as pd

from marl_pr_common.config.arrays import Floats

PAIRS = r"^train/(?:pr_trust_(?P<team_of>\d+)_(?P<of_team>\d+)|trust_(?P<of_agent>\d+))$"
"""A weight in the rows of a team names both agents (EPyMARL); in the rows of an agent, the peer (Stable-Baselines3)."""


def last_weights(results: pd.DataFrame) -> Mapping[str, Mapping[str, Floats]]:
    """Task -> arm -> the last weights W_ij of its runs, mean over seeds, (n_agents, n_agents); NaN for a pair without.

    Arms without any are left out.

    :param results: table in the schema of ``runs``
    """
    metrics = results["metric"].drop_duplicates()
    named = metrics.str.extract(PAIRS).astype(float).dropna(how="all")
    rows = results.merge(named.join(metrics), on="metric")
    if rows.empty:
        return {}
    rows["i"] = rows["team_of"].fillna(rows["agent"]).astype(int)
    rows["j"] = rows["of_team"].fillna(rows["of_agent"]).astype(int)
    pair = ["task", "arm", "i", "j"]
    ends = rows.sort_values("env_steps_per_agent").groupby([*pair, "seed"])["value"].last()
    found: dict[str, dict[str, Floats]] = {}
    for (task, arm), weights in ends.groupby(pair).mean().groupby(["task", "arm"]):
        n = 1 + max(int(weights.index.get_level_values(name).max()) for name in ("i", "j"))
        matrix = np.full((n, n), np.nan)
        for (_, _, i, j), weight in weights.items():
            matrix[i, j] = weight
        found.setdefault(str(task), {})[str(arm)] = matrix
    return found
