"""The shipped studies: each is planned at every scale, matches its schema, and says what every key is."""

from __future__ import annotations

import importlib.util
import itertools
import re
from pathlib import Path

import pytest

from marl_pr_common.config.shipped import config_names, find_config, read_yaml
from marl_pr_common.study.config import load_study
from marl_pr_common.study.hosts import load_host, require_arm
from marl_pr_common.study.plan import resolve, swept
from tests.epymarl.conftest import FOUND

STUDIES = [name for name in config_names() if name.startswith("studies/")]
NAMES = (
    "fig6",
    "fig6_starcraft",
    "fig7a",
    "fig8",
    "deciding",
    "deciding_tuning",
    "deciding_unlike",
    "deciding_held_out",
    "deciding_foraging",
    "fig6_3m",
    "fig7b_3m",
    "fig7c_3m",
)
LONG = tuple(f"studies/{name}" for name in NAMES)
"""Planned by what the others are planned by, in environments that take seconds to be made."""
SCALES = [  # quickly the first, the largest: scales differ in means alone, see below
    pytest.param(name, scale, marks=[pytest.mark.slow] * (name in LONG or place > 0))
    for name in STUDIES
    for place, scale in enumerate(load_study(name).scales or [None])
]
NEEDS = {
    "studies/fig8": "epymarl_pr.transfer.table",
    **dict.fromkeys(("studies/fig6_starcraft", "studies/fig6_3m", "studies/fig7b_3m", "studies/fig7c_3m"), "jaxmarl"),
}
"""Study -> a module without which its cells can't be planned."""


def test_every_figure_of_the_deep_experiments_has_a_study() -> None:
    figures = ("fig5", "fig6", "fig6_starcraft", "fig7a", "fig7b", "fig7c", "fig8", "quick")
    assert {f"studies/{name}" for name in figures} <= set(STUDIES)
    for name in figures:
        assert list(load_study(name).scales)[:2] == ["paper", "overnight"]


@pytest.mark.parametrize("name", STUDIES)
def test_a_study_matches_its_schema_and_comments_every_key(name: str) -> None:
    path = find_config(name)
    config = load_study(name)
    assert set(read_yaml(path)) >= {"title", "question", "host", "seeds", "tasks", "arms"}
    assert config.title
    assert config.question
    for arm, entry in config.arms.items():
        require_arm(load_host(config.host), entry.arm or arm)
    for above, line in itertools.pairwise(path.read_text().splitlines()):
        if re.match(r'\s*("[^"]+"|[\w.-]+):', line):
            assert above.strip().startswith("# "), f"{name}: no comment above {line!r}"


@pytest.mark.parametrize(("name", "scale"), SCALES)
def test_a_study_is_planned_at_every_scale(tmp_path: Path, name: str, scale: str | None) -> None:
    config = load_study(name).at(scale)
    if config.host == "epymarl" and isinstance(FOUND, str):
        pytest.skip(FOUND)
    module = NEEDS.get(name)
    if module and importlib.util.find_spec(module) is None:
        pytest.skip(f"{name} needs {module}")
    cells = resolve(config, tmp_path)
    assert len(cells) == len(config.arms) * len(config.tasks) * len(config.seeds)
    for task in config.tasks:
        plans = [cell.manifest.plan for cell in cells if cell.manifest.task == task]
        assert len({plan.evaluation for plan in plans}) == 1, "these arms can't be compared"
        counts = ({plan.env_steps_per_agent for plan in plans}, {plan.total_env_steps for plan in plans})
        assert min(map(len, counts)) == 1, "neither equal per agent nor in total"
        assert all(plan.total_env_steps == plan.n_agents * plan.env_steps_per_agent for plan in plans)
    if config.sweep:
        values = swept(config, cells)
        assert len(values) >= len(config.arms) - 1
        assert len(set(values.values())) == len(values)
    assert not any(tmp_path.iterdir()), "planning has written something"


@pytest.mark.parametrize("name", STUDIES)
def test_scales_differ_in_means_and_not_in_what_is_compared(name: str) -> None:
    config = load_study(name)
    if not config.scales:
        pytest.skip("one scale")
    whole = config.at("paper" if "paper" in config.scales else None)
    for name, scale in config.scales.items():
        assert set(config.at(name).tasks) <= set(whole.tasks)
        assert set(config.at(name).arms) <= set(whole.arms)
        assert scale.note or name == "paper", "it does not say how long it takes"


def test_the_demo_trains_as_its_configuration_says() -> None:
    train, settings = read_yaml(find_config("sb3/pendulum")), dict(load_study("studies/demo").settings)
    del settings["eval_every"]  # of a study; a run evaluates 20 times
    assert {key: value for key, value in train.items() if key not in ("env", "algo")} == settings


@pytest.mark.slow
def test_dvm_distils_in_every_cell_and_not_just_before_the_last_evaluation(tmp_path: Path) -> None:
    if isinstance(FOUND, str):
        pytest.skip(FOUND)
    cells = [cell.manifest for cell in resolve(load_study("studies/fig8").at("overnight"), tmp_path)]
    cells = [cell for cell in cells if cell.arm.startswith("dvm")]
    assert len({cell.task for cell in cells}) == 4
    for cell in cells:
        settings, steps = cell.plan.settings, cell.plan.env_steps_per_agent
        every = settings["dvm_episodes"] * (100 if "maptf" in cell.task else 25)
        distillations = [*range(every, steps + 1, every)]
        assert distillations, cell.task
        assert distillations[-1] <= steps - settings["test_interval"]
        assert settings["dvm_minibatches"] == round(2.048 * settings["dvm_episodes"])


def test_the_papers_numbers() -> None:
    fig6, stars, fig7b = (load_study(name) for name in ("fig6", "fig6_starcraft", "fig7b"))
    maddpg, mappo, qmix = (fig6.arms[f"{name}_ns_pr"].settings for name in ("maddpg", "mappo", "qmix"))
    assert (maddpg["gamma"], maddpg["target_update_interval_or_tau"]) == (0.95, 0.01)
    assert maddpg["buffer_size"] * 25 == 500_000
    assert (mappo["gamma"], mappo["lr"], mappo["entropy_coef"]) == (0.99, 1e-4, 0.01)
    assert (qmix["gamma"], qmix["lr"], qmix["epsilon_anneal_time"]) == (0.99, 5e-4, 50_000)
    intervals = {name: task.settings["target_update_interval_or_tau"] for name, task in stars.tasks.items()}
    assert intervals == {"smax:3s_vs_5z": 160, "smax:5m_vs_6m": 180}
    assert [entry.settings["pr_kappa"] for entry in fig7b.arms.values()] == [0.0, 0.2, 0.5, 0.8]
