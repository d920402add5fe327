"""A study's YAML: layers of settings, scales, and mistakes that are named."""

import pytest

from marl_pr_common.cli import main
from marl_pr_common.study.config import ArmEntry, load_study, overlay
from marl_pr_common.study.hosts import ENGINES, labels, load_host
from marl_pr_common.study.plan import cell_name, host_settings, resolve, swept
from tests.study.studies import NETWORKS, TABULAR, study, write


def plans(config, tmp_path):
    return {cell.name: cell.manifest for cell in resolve(config, tmp_path)}


def test_every_arm_runs_every_seed_on_every_task(tmp_path):
    found = plans(study(TABULAR), tmp_path)
    assert list(found) == [
        cell_name(arm, task, seed)
        for seed in (0, 1)
        for task in ("Landmarks-2", "Navigation-3")
        for arm in ("iql", "iql_pr_decision")
    ]
    assert {(cell.task, cell.plan.settings.get("gamma")) for cell in found.values()} == {
        ("Landmarks-2", None),
        ("Navigation-3", 0.95),
    }
    assert {cell.label for cell in found.values()} == {"IQL, alpha = .5 (paper)", "IQL+PR"}
    assert {(cell.plan.env_steps_per_agent, cell.plan.total_env_steps) for cell in found.values()} == {
        (600, 1200),
        (600, 1800),
    }
    assert not any(tmp_path.iterdir())


def test_settings_are_laid_over_one_another_and_the_arm_has_the_last_word(tmp_path):
    changed = study(
        NETWORKS,
        seeds=[7],
        settings={**NETWORKS["settings"], "tau": 0.1, "gamma": 0.9, "pr": {"kappa": 0.5, "rho": 3}},
        tasks={"Pendulum-v1": {"settings": {"tau": 0.2, "pr": {"kappa": 0.3}}}},
        arms={
            "td3_pr": {},
            "td3_independent": {},
            "strong": {"arm": "td3_pr", "settings": {"tau": 0.4, "pr": {"kappa": 0.8}}},
        },
        scales={"short": {"settings": {"timesteps_per_agent": 60, "tau": 0.3}, "seeds": [1, 2]}},
    )
    for config, tau, seeds in ((changed, 0.2, {7}), (changed.at("short"), 0.3, {1, 2})):
        found = [cell.manifest for cell in resolve(config, tmp_path)]
        assert {cell.seed for cell in found} == seeds
        settings = {cell.arm: cell.plan.settings for cell in found}
        assert {arm: (s["tau"], s["pr"]["kappa"], s["pr"]["rho"], s["gamma"]) for arm, s in settings.items()} == {
            "td3_pr": (tau, 0.3, 3, 0.9),
            "td3_independent": (tau, 0.0, 3, 0.9),
            "strong": (0.4, 0.8, 3, 0.9),
        }
        assert found[2].label == "TD3PR (strong)"
        assert swept(study(NETWORKS, sweep="pr.kappa"), resolve(config, tmp_path)) == {
            "td3_pr": 0.3,
            "td3_independent": 0.0,
            "strong": 0.8,
        }
    assert changed.at(None).seeds == (1, 2), "the first scale is the default"


def test_a_label_says_no_number_that_an_arm_has_not(tmp_path):
    slow = {"settings": {"alpha": 0.1}}
    arms = {"iql": {}, "slow": {"arm": "iql", **slow}, "iql_pr": {"settings": {"beta": 0.05}}}
    found = plans(study(TABULAR, arms=arms, seeds=1, tasks={"Landmarks-2": {}}), tmp_path)
    labels = {cell.arm: cell.label for cell in found.values()}
    assert labels["iql"] == "IQL, alpha = .5 (paper)"
    assert labels["slow"] == "IQL, alpha=0.1 (slow)"
    assert labels["iql_pr"] == "IQL+PR eq. 5, beta=0.05"


def test_a_scale_may_leave_tasks_and_arms_out():
    config = study(TABULAR, scales={"small": {"tasks": ["Navigation-3"], "arms": ["iql"]}}).at("small")
    assert list(config.tasks) == ["Navigation-3"]
    assert list(config.arms) == ["iql"]


def test_overlay_leaves_its_arguments_alone():
    below, above = {"a": {"b": 1, "c": 2}, "d": 3}, {"a": {"b": 4}, "d": {"e": 5}}
    assert overlay(below, above) == {"a": {"b": 4, "c": 2}, "d": {"e": 5}}
    assert below == {"a": {"b": 1, "c": 2}, "d": 3}


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"arm": {}}, r"own.yaml: unknown key 'arm'.*Did you mean 'arms'"),
        ({"host": "sb33"}, r"'sb33' is not one of sb3, epymarl, tabular. Did you mean 'sb3'"),
        ({"arms": {}}, "arms is empty"),
        ({"arms": {"td33": {}}}, r"'td33' is not one of .*Did you mean 'td3'"),
        ({"arms": {"td3": {"label": 5}}}, "own.yaml: arms: td3: label=5 is a int, expected text"),
        ({"arms": {"td3": {"reference": "ddpg"}}}, "reference='ddpg' is not an arm of this study: td3"),
        ({"seeds": 0}, "seeds=0: expected a number >= 1"),
        ({"seeds": [1, 1]}, r"seeds=\[1, 1\]: expected at least one, each once"),
        ({"tasks": {}}, "tasks is empty"),
        ({"tasks": {"Pendulum-v7": {}}}, "arm td3 on Pendulum-v7.*cannot be made"),
        ({"tasks": {"CartPole-v1": {}}}, "arm td3 on CartPole-v1.*continuous actions"),
        ({"settings": {"taau": 1}}, "arm td3 on Pendulum-v1: settings: unknown key 'taau'.*'tau'"),
        ({"settings": {"seed": 1}}, "seed=1: the study's tasks and seeds say that"),
        ({"settings": {"pr": {"kappa": 2}}}, r"kappa=2.0: expected a number in \[0, 1\]"),
        ({"scales": {"big": {"arms": ["td4"]}}}, r"scales: big: arms=\['td4'\]: expected some of td3"),
        ({"scales": {"big": {"arms": ["td3_pr"]}}}, "td3_pr is compared with td3, which is left out"),
        ({"scales": {"big": {"seeds": 0}}}, "seeds=0"),
        ({"arms": {"../evil": {"arm": "td3"}}}, "arms: '../evil': expected letters"),
        ({"arms": {"cells": {"arm": "td3"}}}, "arms: 'cells': expected letters"),
        ({"arms": {"td3": {}, "other": {"arm": "td3", "label": "TD3"}}}, "arms td3 and other have one label, 'TD3'"),
        ({"seeds": [2**40]}, "integers in"),
        ({"tasks": {"Pendulum-v1": {"threshold": float("nan")}}}, "threshold=nan: expected a finite number"),
        (
            {"arms": {"td3": {}, "td3_pr": {"settings": {"eval_episodes": 3}}}},
            "arms td3_pr and td3 on Pendulum-v1 are evaluated differently",
        ),
        (
            {"arms": {"td3": {}, "td3_pr": {"settings": {"timesteps_per_agent": 400}}}},
            r"neither the same env steps per agent \(400 and 300\) nor the same in total \(800 and 300\)",
        ),
        ({"sweep": "pr.kapa"}, "sweep='pr.kapa'"),
        ({"seeds": 10**8}, "seeds=100,000,000: that many runs of every arm"),
    ],
)
def test_mistakes_are_named(tmp_path, changes, message):
    file = write(tmp_path / "own.yaml", NETWORKS, **changes)
    with pytest.raises(ValueError, match=message):
        resolve(load_study(str(file)).at(None), tmp_path / "out")
    assert not (tmp_path / "out").exists()


INDEPENDENT = {"td3_independent": {}, "td3_own_critics": {"settings": {"pr": {"kappa": 1}}}}
KAPPA = {"pr": {"kappa": 0.3}}


@pytest.mark.parametrize(
    ("where", "changes"),
    [
        ("settings", {"settings": KAPPA}),
        ("tasks: Pendulum-v1", {"tasks": {"Pendulum-v1": {"settings": KAPPA}}}),
        ("scales: big: settings", {"scales": {"big": {"settings": KAPPA}}}),
    ],
)
def test_a_setting_that_every_arm_sets_otherwise_is_named(tmp_path, capsys, where, changes):
    file = write(tmp_path / "own.yaml", NETWORKS, arms=INDEPENDENT, **changes)
    assert main(["study", str(file), "--dry-run"]) == 2
    assert f"{where}: pr.kappa=0.3 has no effect: every arm sets its own (0.0, 1)" in capsys.readouterr().err


def test_a_setting_of_an_arm_that_a_scale_leaves_out_has_its_effect(tmp_path):
    arms = {"td3_independent": {}, "td3_pr": {}}
    scales = {"all": {}, "base": {"arms": ["td3_independent"]}}
    file = write(tmp_path / "own.yaml", NETWORKS, arms=arms, settings=KAPPA, scales=scales)
    assert main(["study", str(file), "--scale", "base", "--dry-run"]) == 0


@pytest.mark.parametrize("arms", [["td3_independent", "td3_shared_replay"], ["td3_pr_trust"], ["td3_random_peer"]])
def test_defaults_that_no_arm_of_a_comparison_takes_are_no_mistake(tmp_path, arms):
    command = ["compare", "--env", "Pendulum-v1", "--timesteps-per-agent", "2000", "--seeds", "0", "--arms", *arms]
    assert main([*command, "--dry-run", "--out", str(tmp_path / "out")]) == 0


@pytest.mark.parametrize("engine", ENGINES.values())
def test_no_two_arms_of_a_framework_have_one_name(engine):
    names = list(labels([engine + "1"]).values())
    assert len(names) > 5
    assert len(set(names)) == len(names)


@pytest.mark.parametrize(
    ("arm", "settings", "label"),
    [
        ("iql_pr", {"alpha": 0.5}, "IQL+PR eq. 5, alpha=0.5"),
        ("iql_decay", {"alpha": {"power": [1.0, 0.8]}}, "IQL, alpha.power=[1.0, 0.8]"),
    ],
)
def test_a_label_says_a_step_size_of_another_kind(arm, settings, label):
    assert host_settings(load_host("tabular"), arm, ArmEntry(settings=settings))[0] == label


@pytest.mark.parametrize(
    ("arm", "settings", "label"),
    [
        ("td3_independent", {"pr": {"kappa": 0.8}}, "TD3, independent, pr.kappa=0.8"),
        ("td3", {"algo": "sac"}, "TD3, algo=sac"),
        ("td3_pr_trust", {"pr": {"trust": "uniform"}}, "TD3PR, trust, pr.trust=uniform"),
        ("td3_own_critics", {"own_critics": False, "batch_size": 7}, "TD3, own critics, own_critics=False"),
        ("td3_pr", {"batch_size": 7, "pr": {"kappa": 0.8}}, "TD3PR"),
    ],
)
def test_a_label_says_where_an_arm_is_not_what_its_name_says(arm, settings, label):
    assert host_settings(load_host("sb3"), arm, ArmEntry(settings=settings))[0] == label


def test_an_unknown_scale_is_named():
    with pytest.raises(ValueError, match="scale='paper': this study has small."):
        study(TABULAR, scales={"small": {}}).at("paper")
