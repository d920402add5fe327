"""The other engines: configurations that reach the paper's maps, and errors that say what is missing."""

import importlib.util
import os
import subprocess
import sys

import numpy as np
import pytest

from epymarl_pr.envs import starcraft
from epymarl_pr.launch import derive, locate
from epymarl_pr.launch.errors import UsageError
from marl_pr_common.envs import starcraft as game


@pytest.fixture(scope="module")
def checkout():
    try:
        return locate.find()
    except UsageError as error:
        pytest.skip(str(error))


@pytest.fixture
def packages(monkeypatch, tmp_path):
    """Empty packages in the place of the two that start the game."""
    for name in ("smac", "smacv2"):
        (tmp_path / "packages" / name).mkdir(parents=True)
        (tmp_path / "packages" / name / "__init__.py").touch()
    monkeypatch.setattr(sys, "path", [str(tmp_path / "packages"), *sys.path])


@pytest.fixture
def nowhere(monkeypatch, tmp_path):
    monkeypatch.delenv(game.VARIABLE, raising=False)
    monkeypatch.setattr(game.Path, "home", lambda: tmp_path)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def install(folder, *maps):
    (folder / "Versions" / "Base75689").mkdir(parents=True)
    (folder / "Maps" / "SMAC_Maps").mkdir(parents=True)
    for name in maps:
        (folder / "Maps" / "SMAC_Maps" / f"{name}.SC2Map").touch()


@pytest.mark.parametrize("env", starcraft.GAMES)
def test_without_the_game_the_message_says_what_to_install_and_to_set(nowhere, env):
    with pytest.raises(
        UsageError, match=r"(?s)StarCraft II is not in.*Blizzard/s2client-proto.*SC2PATH.*smax needs no"
    ):
        starcraft.check({"env": env, "env_args": {"map_name": "3s_vs_5z"}})


@pytest.mark.skipif(importlib.util.find_spec("smacv2") is not None, reason="SMACv2 is installed")
def test_a_clone_in_the_current_folder_is_no_package(nowhere, monkeypatch):
    install(nowhere / "StarCraftII", "3s_vs_5z")
    (nowhere / "smacv2").mkdir()
    monkeypatch.setattr(sys, "path", ["", *sys.path])
    assert importlib.util.find_spec("smacv2") is not None
    with pytest.raises(UsageError, match="the package smacv2 is not installed.*pip install[^.]*\\.com[^.]*\\.git"):
        starcraft.check({"env": "smacv2", "env_args": {"map_name": "3s_vs_5z"}})


def test_a_game_without_the_map(nowhere, packages, monkeypatch):
    install(nowhere / "game", "5m_vs_6m")
    monkeypatch.setenv(game.VARIABLE, str(nowhere / "game"))
    starcraft.check({"env": "sc2", "env_args": {"map_name": "5m_vs_6m"}})
    with pytest.raises(UsageError, match="has no 3s_vs_5z.SC2Map"):
        starcraft.check({"env": "smacv2", "env_args": {"map_name": "3s_vs_5z"}})


def test_a_game_in_the_home_folder_is_found(nowhere, packages, monkeypatch):
    install(nowhere / "StarCraftII", "3s_vs_5z")
    starcraft.check({"env": "sc2", "env_args": {"map_name": "3s_vs_5z"}})
    assert game.find() == nowhere / "StarCraftII"


def test_configurations_reach_the_papers_maps(checkout):
    five = derive.environment(checkout, "smaclite_5m_vs_6m", {})["env_args"]
    assert (five["map_name"], five["time_limit"]) == ("custom", 70)
    three = derive.environment(checkout, "smaclite_3s_vs_5z", {})["env_args"]
    assert (three["map_name"], three["time_limit"]) == ("3s_vs_5z", 250)
    v2 = derive.environment(checkout, "smacv2", {})
    assert v2["env"] == "smacv2"
    assert v2["env_args"]["reward_scale_rate"] == 20


@pytest.mark.skipif(importlib.util.find_spec("smaclite") is None, reason="SMAClite is not installed")
def test_smaclite_plays_our_map():
    import gymnasium
    import smaclite  # noqa: F401

    env = gymnasium.make("smaclite/custom-v0", map_file=str(starcraft.MAPS / "5m_vs_6m.json"), seed=0).unwrapped
    env.reset()
    assert (env.obs_size, env.state_size, env.n_actions, env.n_agents) == (55, 98, 12, 5)
    rng, total, over, steps = np.random.default_rng(0), 0.0, False, 0
    while not over:
        legal = np.asarray(env.get_avail_actions())
        _, reward, over, cut, info = env.step([int(action) for action in (rng.random(legal.shape) * legal).argmax(1)])
        total, steps = total + reward, steps + 1
        assert steps < 70
        assert not cut
    assert 0 < total < 20
    assert not info["battle_won"]


@pytest.mark.skipif(importlib.util.find_spec("smacv2") is None, reason="SMACv2 is not installed")
@pytest.mark.parametrize("name, sizes", [("3s_vs_5z", (48, 11, 3, 250)), ("5m_vs_6m", (55, 12, 5, 70))])
def test_smacv2_has_the_papers_battles(checkout, name, sizes):
    code = (
        "from epymarl_pr.envs import starcraft\nfrom epymarl_pr.launch import compat, derive, locate\n"
        "checkout = locate.find()\ncompat.install(checkout.src)\n"
        f"arguments = {{**derive.environment(checkout, 'smacv2', {{}})['env_args'], 'map_name': {name!r}, 'seed': 1}}\n"
        "info = starcraft.make_smacv2(**arguments, common_reward=True, reward_scalarisation='sum').get_env_info()\n"
        "print(*(info[key] for key in ('obs_shape', 'n_actions', 'n_agents', 'episode_limit')))\n"
    )
    environment = {**os.environ, locate.ENVIRONMENT_VARIABLE: str(checkout.root)}
    command = [sys.executable, "-W", "ignore", "-c", code]
    done = subprocess.run(command, capture_output=True, text=True, env=environment, check=True)
    assert done.stdout.split()[-4:] == [str(size) for size in sizes]
