"""Names that moved: imports of the release before still work, or say what there is now."""

import importlib.util
import operator
from typing import get_origin

import pytest

import epymarl_pr
import marl_pr_common
import sb3_pr
from marl_pr_common.moved import GONE, MOVED, current

BEFORE = {
    "adjacency": ["AdjacentStates", "size", "choose_one"],
    "config": [
        *("Adjacency", "Metric", "Weights", "Peers", "Normalize", "MinOver", "Estimator", "ReciprocityConfig"),
        *("check_literals", "from_mapping"),
    ],
    "checkpoint.signals": ["Stopped"],
    "commands": [],
    "commands.study": ["Command"],
    "comparable": ["comparable", "NotComparableError"],
    "configs": ["config_root", "config_names", "find_config", "read_yaml", "load_config"],
    "convert": ["Build", "convert"],
    "delegate": ["Delegate"],
    "display": [],
    "doctor": ["examine"],
    "engines": ["ENGINES", "installed"],
    "envs.cooperative_navigation": ["CooperativeNavigation"],
    "envs.digital": ["Digital"],
    "envs.grid": ["Grid"],
    "envs.held_out": ["Courier", "Cliff"],
    "envs.jax_particles": ["Particles"],
    "envs.kernels": ["World"],
    "envs.mdp": ["FiniteMDP"],
    "envs.names": ["is_ours"],
    "envs.particle_arguments": [],
    "envs.particle_vector": ["ParticleVector"],
    "envs.particles": ["ParticleTeam"],
    "envs.predator_prey": ["PredatorPrey"],
    "envs.pretrained_prey": ["PretrainedPrey"],
    "envs.prey": [],
    "envs.reference": [],
    "envs.registry": ["GRIDS", "GridSpec", "grid_spec", "make", "navigation", "register"],
    "envs.smax": ["SMAX"],
    "envs.smax_maps": ["PREFIX"],
    "envs.smax_simulator": ["Simulator"],
    "envs.smax_vector": ["SMAXVector"],
    "estimators": ["Evaluate", "JointEvaluate"],
    "figures": ["FigureConfig", "run_figure"],
    "figures.command": ["run_figure"],
    "figures.convergence": [],
    "figures.theory": [],
    "files": ["read_json", "write_json", "replacing"],
    "grouping": ["Groups", "by_peer"],
    "guards": ["NonFiniteError", "require_finite", "bad_agents", "all_finite", "ValueAlarm"],
    "moments": ["RunningMoments"],
    "peer_statistics": ["RECORD_EVERY", "NO_VALUE", "PeerStatistics"],
    "peers": [
        *("Matrix", "complete", "ring", "random", "own_matrix", "peer_matrix", "normalized", "laplacian"),
        *("algebraic_connectivity", "metropolis", "draw_peers"),
    ],
    "plots": ["learning_curves", "save_figure"],
    "plots.curves": ["learning_curves"],
    "provenance": ["describe"],
    "readers": ["read", "read_all"],
    "readers.sb3": [],
    "run_guard": ["exclusive", "in_use"],
    "runs": ["Clock", "read_results", "RESULTS"],
    "safe_yaml": ["MAX_BYTES", "MAX_DEPTH", "load_mapping"],
    "starcraft": ["find"],
    "stats": ["paired_difference", "team_curves"],
    "stats.curves": ["TeamCurves"],
    "status": ["Status", "read_status"],
    "study.engines": ["require"],
    "tabular.study_host": ["ARMS"],
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
    assert operator.attrgetter(module)(marl_pr_common) is imported
    for name in BEFORE[module]:
        value = getattr(imported, name)
        if (isinstance(value, type) and get_origin(value) is None) or hasattr(value, "__code__"):
            assert value.__name__ == name
    with pytest.raises(AttributeError, match="nonsense"):
        _ = imported.nonsense


@pytest.mark.parametrize(
    "module,name",
    [
        ("sb3_pr.stacking", "stack"),
        ("sb3_pr.optimizers", "AgentOptimizers"),
        ("sb3_pr.resume", "load_checkpoint"),
        ("sb3_pr.resume.callback", "CheckpointCallback"),
        ("sb3_pr.train_config", "TrainConfig"),
        ("sb3_pr.agents", "MultiAgent"),
        ("epymarl_pr.locate", "find"),
        ("epymarl_pr.errors", "UsageError"),
    ],
)
def test_earlier_names_of_the_hosts_are_found(module, name):
    assert getattr(importlib.import_module(module), name).__name__ == name


@pytest.mark.parametrize("package", [sb3_pr, epymarl_pr])
def test_every_name_of_now_is_there(package):
    for (place,) in package.moved.MOVED.values():
        assert importlib.util.find_spec(f"{package.__name__}.{place}") is not None


@pytest.mark.parametrize("name", GONE)
def test_of_a_name_that_is_gone_the_message_says_what_there_is(name):
    module, _, attribute = name.partition(".")
    with pytest.raises(AttributeError, match=f"marl_pr_common.{name} is gone: use "):
        getattr(importlib.import_module(f"marl_pr_common.{module}"), attribute)


@pytest.mark.parametrize(
    "earlier,now",
    [
        ("marl_pr_common.envs.grid.Grid", "marl_pr_common.envs.grids.grid.Grid"),
        ("marl_pr_common.envs.smax.SMAX", "marl_pr_common.envs.smax.battle.SMAX"),
        ("marl_pr_common.envs.smax.battle.SMAX", "marl_pr_common.envs.smax.battle.SMAX"),
        ("gymnasium.envs.classic_control.pendulum.PendulumEnv",) * 2,
    ],
)
def test_checkpoints_know_environments_by_earlier_names(earlier, now):
    assert current(earlier) == now


@pytest.mark.parametrize("name", ["nonsense", "stats.nonsense", "envs.grid.Grid"])
def test_what_never_was_is_no_module(name):
    with pytest.raises(ModuleNotFoundError):
        importlib.import_module(f"marl_pr_common.{name}")
