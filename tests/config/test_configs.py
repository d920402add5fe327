"""Configuration files: every one matches its dataclass and the paper; a slip is an error that names it."""

from __future__ import annotations

import itertools
import re
from dataclasses import dataclass, fields

import numpy as np
import pytest

from marl_pr_common.config import from_mapping
from marl_pr_common.config.shipped import config_names, config_root, find_config, load_config, read_yaml
from marl_pr_common.reciprocity import ReciprocityConfig
from sb3_pr.study.config import TrainConfig

RUNS = [name for name in config_names() if not name.startswith("studies/")]
"""Studies have a schema of their own, see tests/study/test_studies.py."""
PAPER = {"learning_rate": 3e-4, "buffer_size": 1_000_000, "gamma": 0.99, "action_noise": 0.1, "batch_size": 256}


@pytest.mark.parametrize("name", RUNS)
def test_every_yaml_matches_its_dataclass_and_comments_every_key(name):
    config = load_config(TrainConfig, name)
    path = find_config(name)
    assert config == from_mapping(TrainConfig, read_yaml(path))
    lines = path.read_text().splitlines()
    for above, line in itertools.pairwise(lines):
        if re.match(r"\s*\w+:", line):
            assert above.strip().startswith("# "), f"{name}: no comment above {line!r}"


@pytest.mark.parametrize("algo", ["td3_pr", "ddpg_pr"])
@pytest.mark.parametrize(
    ("task", "tau", "kappa"), [("ant", 0.008, 0.3), ("halfcheetah", 0.005, 0.5), ("hopper", 0.005, 0.5)]
)
def test_mujoco_settings_are_the_papers(algo, task, tau, kappa):
    config = load_config(TrainConfig, f"{algo}_{task}")
    assert config.algo == algo
    assert config.env.lower() == f"{task}-v5"
    assert (config.tau, config.pr.kappa, config.policy_delay) == (tau, kappa, 2)
    assert {key: getattr(config, key) for key in PAPER} == PAPER


def test_every_option_is_documented():
    source = (config_root().parent / "sb3_pr" / "study" / "config.py").read_text()
    for field in fields(TrainConfig):
        assert re.search(rf'^    {field.name}: .*\n    """\S', source, re.M), f"{field.name} has no docstring"


def test_a_path_wins_over_a_name_and_a_folder_may_be_named(tmp_path):
    (tmp_path / "own.yaml").write_text("tau: 0.5\n")
    assert load_config(TrainConfig, str(tmp_path / "own.yaml")).tau == 0.5
    assert find_config("pendulum") == find_config("sb3/pendulum") == find_config("pendulum.yaml")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("taau: 0.5", r"own.yaml: unknown key 'taau'.*Did you mean 'tau'"),
        ("pr:\n  kapa: 0.5", r"own.yaml: pr: unknown key 'kapa'.*Did you mean 'kappa'"),
        ("pr:\n  kappa: 2.0", r"kappa=2.0: expected a number in \[0, 1\]"),
        ("pr: 0.5", "pr=0.5 is not a mapping"),
        ("batch_size: 2.5", "own.yaml: batch_size=2.5 is not a whole number"),
        ("batch_size: many", "batch_size='many' is not a whole number"),
        ("batch_size: true", "batch_size=True is not a whole number"),
        ("tau: null", "tau=None is not a number"),
        ("net_arch: 64", "net_arch=64 is not a list"),
        ("net_arch: [64, x]", r"net_arch\[1\]='x' is not a whole number"),
        ("shared_replay: maybe", "shared_replay='maybe' is neither true nor false"),
        ("env: 3", "env=3 is a int, expected text"),
        ("algo: td4", "algo='td4' is not one of .* Did you mean 'td3'"),
        ("- tau", "holds list, expected"),
        ("tau: [", "not valid YAML"),
        ("x: !!python/object/apply:os.getcwd []", "not valid YAML"),
        ("gamma: 1.5", "gamma=1.5: expected"),
        ("gamma: .nan", "gamma=nan: expected"),
        ("seed: -1", "seed=-1: expected"),
        ("n_agents: 0", "n_agents=0: expected an integer >= 1"),
        ("gradient_steps: -1", "gradient_steps=-1: expected an integer >= 1"),
        ("net_arch: []", "net_arch="),
        ("tau: 0", r"tau=0.0: expected a number in \(0, 1\]"),
    ],
)
def test_a_slip_in_a_file_is_named(tmp_path, text, message):
    (tmp_path / "own.yaml").write_text(text + "\n")
    with pytest.raises(ValueError, match=message):
        load_config(TrainConfig, str(tmp_path / "own.yaml"))


def test_an_unknown_name_lists_what_exists():
    with pytest.raises(FileNotFoundError, match=r"sb3/pendulum.*Did you mean 'pendulum'"):
        find_config("pendulun")


@dataclass(frozen=True)
class Values:
    ratio: float = 0.0
    count: int = 0
    maybe: int | None = None
    matrix: tuple[tuple[float, ...], ...] | None = None


def test_numbers_come_as_yaml_and_numpy_write_them():
    # YAML 1.1 reads 3e-4 and 1e6 as text
    values = from_mapping(Values, {"ratio": "3e-4", "count": "1e6", "maybe": np.int64(3), "matrix": np.eye(2)})
    assert values == Values(3e-4, 1_000_000, 3, ((1.0, 0.0), (0.0, 1.0)))
    assert type(values.count) is type(values.maybe) is int
    assert from_mapping(Values, {"maybe": None}).maybe is None


def test_large_whole_numbers_keep_every_digit():
    assert from_mapping(Values, {"count": 2**60 + 1}).count == 2**60 + 1


def test_nested_options_start_from_their_defaults():
    config = from_mapping(TrainConfig, {"pr": {"kappa": 0.25}})
    assert config.pr == ReciprocityConfig(kappa=0.25)
