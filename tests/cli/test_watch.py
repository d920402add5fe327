"""After training: what `train` says, films, evaluations, trackers, and an agent on the Hub."""

from __future__ import annotations

import io
import json
import sys
import zipfile
from contextlib import redirect_stderr
from itertools import pairwise
from types import ModuleType, SimpleNamespace

import numpy as np
import pytest

from marl_pr_common.config.yaml import load_mapping
from marl_pr_common.runs.film import shot
from marl_pr_common.runs.table import read_results
from sb3_pr import learnt
from sb3_pr.scenes import scenes
from sb3_pr.study.config import TrainConfig
from tests.cli.test_front import run

SPOT, DUEL = "tests.cli.drawn_environments:Spot", "tests.cli.drawn_environments:DrawnDuel"
SMALL = ("--timesteps-per-agent", "40", "--learning-starts", "10", "--eval-episodes", "2", "--net-arch", "4")
SMALL = (*SMALL, "--batch-size", "4", "--buffer-size", "50", "--checkpoint-every", "0")


BRIEF = ("--eval-every", "20")


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """Two agents in copies of a task."""
    out, said = tmp_path_factory.mktemp("runs") / "a run", io.StringIO()
    with redirect_stderr(said):
        assert run("train", "--env", SPOT, "--n-agents", "2", *SMALL, "--out", str(out)) == 0
    (out.parent / "said.txt").write_text(said.getvalue())
    return out


@pytest.fixture(scope="module")
def team(tmp_path_factory):
    pytest.importorskip("pettingzoo")
    out = tmp_path_factory.mktemp("runs") / "team"
    assert run("train", "--env", DUEL, *SMALL, "--out", str(out)) == 0
    return out


def last(out):
    rows = read_results([out]).query("metric == 'eval/return'")
    return rows[rows["env_steps_per_agent"] == 40].sort_values("agent")["value"].to_numpy()


def test_a_run_ends_with_a_figure_the_best_agent_and_the_next_commands(trained):
    out, said = trained, (trained.parent / "said.txt").read_text()
    assert f"Best agent: {last(out).argmax()}, return {last(out).max():.1f}" in said
    for command in ("enjoy", "eval", "report"):
        assert f"marl-pr {command} '{out}'" in said
    assert (out / "learning_curves.png").read_bytes().startswith(b"\x89PNG")
    steps = read_results([out]).query("metric == 'eval/return'")["env_steps_per_agent"].unique()
    assert list(steps) == list(range(0, 41, 2))
    described = json.loads((out / "run.json").read_text())
    assert described["device"] in ("cpu", "cuda")


@pytest.mark.parametrize(("budget", "every"), [(1_000_000, 5_000), (20_000, 1_000), (39, 1), (3, 1)])
def test_twenty_evaluations_in_whatever_budget(budget, every):
    assert TrainConfig(timesteps_per_agent=budget).evaluation_interval == every
    assert TrainConfig(timesteps_per_agent=budget, eval_every=7).evaluation_interval == 7


@pytest.mark.parametrize("how", [[], ["--agent", "0"], ["--agent", "1"], ["--team"]])
def test_an_agent_is_filmed(trained, tmp_path, how, capsys):
    imageio = pytest.importorskip("imageio.v3")
    out = tmp_path / "film.gif"
    assert run("enjoy", str(trained), "--out", str(out), *how) == 0
    who = {(): f"agent {last(trained).argmax()}, the best", ("--team",): "vote"}.get(tuple(how), " ".join(how)[2:])
    assert who in capsys.readouterr().out
    film = imageio.imread(out)
    assert film.shape[1:3] == (32, 48)
    assert len(film) == 11  # ten steps, and the first state
    assert [int((frame[0, :, 0] > 200).sum()) for frame in film] == [4 * time for time in range(11)]


def test_films_show_whom_they_name(trained):
    """The green of a picture is what the agent did."""
    model = learnt.load(trained)[1]
    for agent in range(2):
        frames = list(scenes(trained, agent=agent)[0])
        for time, frame in enumerate(frames[1:]):
            action = model.agent(agent).predict(np.full(2, 0.1 * time, np.float32), deterministic=True)[0]
            assert frame[0, 0, 1] == np.uint8(127 * (1 + float(action[0])))


def test_a_team_is_filmed_together_to_its_last_state(team, tmp_path):
    frames = list(scenes(team, episodes=2)[0])
    assert len(frames) == 12
    assert [int((frame[0, :, 0] == 255).sum()) for frame in frames] == [4 * time for time in range(6)] * 2
    assert any((one != other).any() for one, other in pairwise(frames))
    assert run("enjoy", str(team), "--agent", "0", "--out", str(tmp_path / "x.gif")) == 2


@pytest.mark.parametrize(
    ("how", "message"),
    [
        (["--agent", "2"], "agent=2: expected a number from 0 to 1"),
        (["--agent", "0", "--team"], "Give one"),
        (["--out", "film.avi"], ".gif or .mp4"),
        (["--episodes", "0"], "--episodes 0"),
        (["--seed", "-1"], "seed=-1"),
    ],
)
def test_what_cannot_be_filmed_is_one_line(trained, how, message, capsys):
    before = sorted(trained.iterdir())
    assert run("enjoy", str(trained), *how) == 2
    assert message in capsys.readouterr().err
    assert sorted(trained.iterdir()) == before


def test_what_is_no_run_is_one_line(tmp_path, capsys):
    assert run("enjoy", str(tmp_path / "nowhere")) == 2
    assert run("eval", str(tmp_path)) == 2
    (tmp_path / "cells" / "a" / "run").mkdir(parents=True)
    assert run("eval", str(tmp_path)) == 2
    said = capsys.readouterr().err
    assert "is no directory" in said
    assert "is not the directory of a run" in said
    assert f"is a study of 1 runs. Give one of them, such as {tmp_path / 'cells' / 'a' / 'run'}" in said


def test_an_evaluation_is_that_of_the_run(trained, capsys):
    assert run("eval", str(trained), "--episodes", "2") == 0
    lines = capsys.readouterr().out.splitlines()[2:]
    found = {line.rpartition("+-")[0].rsplit(maxsplit=1)[0].strip(): float(line.split()[-3]) for line in lines}
    expected = last(trained)
    assert [found["agent 0"], found["agent 1"]] == pytest.approx(expected, abs=0.005)
    best = f"best member (agent {expected.argmax()})"
    assert found[best] == pytest.approx(expected.max(), abs=0.005)
    assert {"vote", best} < found.keys()
    assert any(name.startswith("leader (agent ") for name in found)


def test_a_team_is_evaluated_as_one(team, capsys):
    assert run("eval", str(team), "--episodes", "2") == 0
    lines = capsys.readouterr().out.splitlines()[2:]
    assert [line.split("  ")[0].strip() for line in lines] == ["agent 0", "agent 1", "mean over agents"]
    assert [float(line.split()[-3]) for line in lines[:2]] == pytest.approx(last(team), abs=0.005)


class Hub(ModuleType):
    """What is asked of huggingface_hub; what is uploaded is kept."""

    def __init__(self):
        super().__init__("huggingface_hub")
        self.__spec__ = SimpleNamespace(name="huggingface_hub")
        self.made, self.files, self.endpoint = [], {}, "https://hub.example"
        self.HfApi = lambda: self

    def create_repo(self, repo, private, exist_ok):
        if repo.startswith("other/"):
            raise PermissionError("403 Forbidden")
        self.made.append((repo, private, exist_ok))

    def upload_folder(self, repo_id, folder_path, commit_message):
        from pathlib import Path

        self.files = {file.name: file.read_bytes() for file in Path(folder_path).iterdir()}


def test_an_agent_goes_to_the_hub_as_a_model_of_upstreams(trained, tmp_path, monkeypatch, capsys):
    from stable_baselines3 import TD3

    hub = Hub()
    monkeypatch.setitem(sys.modules, "huggingface_hub", hub)
    assert run("push", str(trained), "--repo", "me/spot", "--agent", "1", "--private") == 0
    assert hub.made == [("me/spot", True, True)]
    assert "https://hub.example/me/spot" in capsys.readouterr().out
    assert hub.files.keys() == {"model.zip", "README.md", "config.json"}
    (tmp_path / "model.zip").write_bytes(hub.files["model.zip"])
    assert b"marl" not in zipfile.ZipFile(tmp_path / "model.zip").read("data")
    lone, seen = TD3.load(tmp_path / "model.zip"), np.full(2, 0.3, np.float32)
    ours = learnt.load(trained)[1].agent(1)
    np.testing.assert_array_equal(lone.predict(seen, deterministic=True)[0], ours.predict(seen, deterministic=True)[0])
    card = hub.files["README.md"].decode()
    head = load_mapping(card.split("---\n")[1], "card")
    assert head["library_name"] == "stable-baselines3"
    metric = head["model-index"][0]["results"][0]["metrics"][0]
    assert metric["value"] == pytest.approx(last(trained)[1], abs=0.005)
    assert 'TD3.load(hf_hub_download("me/spot", "model.zip"))' in card


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (["--repo", "me"], "--repo me: expected USER/NAME"),
        (["--repo", "other/spot"], "403 Forbidden Log in with"),
        (["--repo", "me/spot", "--agent", "2"], "--agent 2: expected a number from 0 to 1"),
    ],
)
def test_what_cannot_be_pushed_is_one_line(trained, given, message, monkeypatch, capsys):
    monkeypatch.setitem(sys.modules, "huggingface_hub", Hub())
    assert run("push", str(trained), *given) == 2
    assert message in capsys.readouterr().err


@pytest.mark.parametrize(
    ("error", "message"),
    [
        (NotImplementedError(), r"it has no render\(\)\. An environment of your own"),
        (NotImplementedError("no such mode"), r"NotImplementedError: no such mode\. An environment of your own"),
        (KeyError(), r"KeyError\.$"),
    ],
)
def test_why_there_is_no_picture_is_said(error, message):
    def render():
        raise error

    with pytest.raises(ValueError, match=f"^env='mine' can't be filmed: {message}"):
        shot(SimpleNamespace(render=render), "mine")
