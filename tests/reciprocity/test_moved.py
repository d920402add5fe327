"""Names that moved: imports of the release before still work, or say what there is now."""

import importlib

import pytest

import marl_pr_common
from marl_pr_common.moved import GONE, MOVED

BEFORE = {
    "adjacency": ["AdjacentStates", "size", "choose_one"],
    "config": [
        *("Adjacency", "Metric", "Weights", "Peers", "Normalize", "MinOver", "Estimator", "ReciprocityConfig"),
        *("check_literals", "from_mapping"),
    ],
    "configs": ["config_root", "config_names", "find_config", "read_yaml", "load_config"],
    "convert": ["Build", "convert"],
    "delegate": ["Delegate"],
    "estimators": ["Evaluate", "JointEvaluate"],
    "grouping": ["Groups", "by_peer"],
    "guards": ["NonFiniteError", "require_finite", "bad_agents", "all_finite", "ValueAlarm"],
    "moments": ["RunningMoments"],
    "peer_statistics": ["RECORD_EVERY", "NO_VALUE", "PeerStatistics"],
    "peers": [
        *("Matrix", "complete", "ring", "random", "own_matrix", "peer_matrix", "normalized", "laplacian"),
        *("algebraic_connectivity", "metropolis", "draw_peers"),
    ],
    "safe_yaml": ["MAX_BYTES", "MAX_DEPTH", "load_mapping"],
    "target": [
        *("adjacency_weights", "reciprocal_value", "sampled_reciprocal_value", "peer_statistics"),
        *("without_bad_gradients", "check_gain"),
    ],
}
"""Earlier module -> what it held."""


@pytest.mark.parametrize("module", BEFORE)
def test_earlier_names_are_found(module):
    assert set(MOVED) < set(BEFORE)
    imported = importlib.import_module(f"marl_pr_common.{module}")
    assert getattr(marl_pr_common, module) is imported
    for name in BEFORE[module]:
        value = getattr(imported, name)
        if isinstance(value, type) or hasattr(value, "__code__"):
            assert value.__name__ == name
    with pytest.raises(AttributeError, match="nonsense"):
        _ = imported.nonsense


@pytest.mark.parametrize("name", GONE)
def test_of_a_name_that_is_gone_the_message_says_what_there_is(name):
    module, _, attribute = name.partition(".")
    with pytest.raises(AttributeError, match=f"marl_pr_common.{name} is gone: use "):
        getattr(importlib.import_module(f"marl_pr_common.{module}"), attribute)
