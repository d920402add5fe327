"""A trained team as a GIF or an MP4, by one command, without a display."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from epymarl_pr import render
from epymarl_pr.launch import launcher, locate
from epymarl_pr.launch.errors import UsageError
from epymarl_pr.launch.locate import Checkout
from tests.epymarl import runs

imageio = pytest.importorskip("imageio.v3", reason="needs the extra epymarl: pip install 'marl-pr[epymarl]'")
pytest.importorskip("mpe2", reason="needs the extra epymarl: pip install 'marl-pr[epymarl]'")
PZ = "pz-mpe-simple-spread-v3"
CASES = [
    pytest.param("maddpg_pr", PZ, "film.gif", 1, id="pz"),
    pytest.param("mappo_ns_pr", "epymarl_pr:pp-3-v0", "film.mp4", 2, id="pp", marks=pytest.mark.slow),
    pytest.param("qmix", "epymarl_pr:spread-3-v0", "film.gif", 2, id="spread", marks=pytest.mark.slow),
]


@pytest.mark.parametrize("name, key, out, episodes", CASES)
@pytest.mark.slow
def test_a_film(checkout: Checkout, tmp_path: Path, name: str, key: str, out: str, episodes: int) -> None:
    root = runs.clone(checkout, tmp_path / "epymarl")
    runs.run(
        runs.command(root, name, key, "t_max=30", "save_model=True", "batch_size_run=1", "runner=episode"), tmp_path
    )
    (models,) = (tmp_path / "results" / "models").glob("*")
    records = sorted((root / "results").rglob("*"))
    settings = [f"env_args.key={key}", "env_args.time_limit=10", f"checkpoint_path={models}", "seed=1"]
    flags = [f"--out={out}", f"--episodes={episodes}", f"--epymarl-dir={root}", f"--config={name}"]
    command = [sys.executable, "-m", "epymarl_pr.render", *flags, "--env-config=gymma", "with", *settings]
    printed = runs.run(command, tmp_path)
    assert f"{out}: {episodes} episode" in printed
    assert f"{11 * episodes} frames" in printed  # the first state of an episode, and ten steps
    frames = imageio.imread(tmp_path / out)
    assert frames.shape[1:] == (700, 700, 3)
    assert 9 * episodes <= len(frames) <= 11 * episodes  # a GIF holds equal neighbours once
    assert frames[0].std() > 1  # not an empty picture
    assert np.abs(frames[0].astype(int) - frames[-1]).max() > 100  # they move
    assert sorted((root / "results").rglob("*")) == records  # sacred keeps no record of a film


@pytest.fixture
def base(checkout: Checkout, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Arguments that lack nothing but a checkpoint."""
    monkeypatch.setenv(locate.ENVIRONMENT_VARIABLE, os.environ.get(locate.ENVIRONMENT_VARIABLE, "unused"))
    monkeypatch.setenv("SDL_VIDEODRIVER", "dummy")
    return [f"--epymarl-dir={checkout.root}", "--config=qmix_pr", "--env-config=gymma", "with", f"env_args.key={PZ}"]


@pytest.mark.parametrize(
    "flags, settings, message",
    [
        ([], [], "--out=FILE is missing"),
        (["--out=film.avi"], [], "--out=film.avi: expected a name that ends in .gif or .mp4"),
        (["--out=nowhere/film.gif"], [], "--out=nowhere/film.gif: there is no folder nowhere"),
        (["--out=film.gif", "--episodes=some"], [], "--episodes=some: expected a whole number above 0"),
        (["--out=film.gif", "--episodes=0"], [], "--episodes=0: expected"),
        (["--out=film.gif", "--fps=-3"], [], "--fps=-3: expected a number above 0"),
        (["--out=film.gif"], [], "checkpoint_path is missing"),
        (["--out=film.gif"], ["checkpoint_path=nowhere"], "checkpoint_path=nowhere: expected a folder"),
        (["--out=film.gif"], ["checkpoint_path=."], "checkpoint_path=.: expected a folder with saved models"),
        (["--out=film.gif"], ["pr_kappa=2"], "pr_kappa=2"),
    ],
)
def test_mistakes(
    base: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str],
    flags: list[str], settings: list[str], message: str,
) -> None:  # fmt: skip
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SystemExit) as stopped:
        render.main([*flags, *base, *settings], {})
    assert stopped.value.code == 2
    assert message in capsys.readouterr().err


@pytest.mark.parametrize("package, out", [("imageio", "film.gif"), ("imageio_ffmpeg", "film.mp4")])
def test_without_the_package_that_writes_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, package: str, out: str
) -> None:
    monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises(UsageError, match=f"the package {package} is not installed: pip install"):
        render.output(str(tmp_path / out))


def test_it_evaluates_in_one_environment(base: list[str], tmp_path: Path) -> None:
    (tmp_path / "30").mkdir()
    for name in ("agent.th", "opt.th", "mixer.th"):
        (tmp_path / "30" / name).touch()
    given = [*base, "runner=parallel", "test_nepisode=50", f"checkpoint_path={tmp_path}"]
    prepared = launcher.prepare(render.evaluation(given, 3), tmp_path)
    found = {key: prepared.config[key] for key in ("evaluate", "runner", "batch_size_run", "test_nepisode")}
    assert found == {"evaluate": True, "runner": "episode", "batch_size_run": 1, "test_nepisode": 3}


class Screen:
    """A renderer: what it is asked for, and what it answers."""

    metadata: dict[str, Any] = {}  # noqa: RUF012

    def __init__(self, answer: Any):
        self.answer = answer

    def render(self, mode: str = "human") -> Any:
        if isinstance(self.answer, Exception):
            raise self.answer
        return self.answer if mode == "rgb_array" else True


def test_old_renderers_are_asked_for_a_picture() -> None:
    film = render.Film()
    film.shoot(SimpleNamespace(unwrapped=Screen(np.full((4, 6, 4), 7))))
    (frame,) = film.frames
    assert frame.shape == (4, 6, 3)
    assert frame.dtype == np.uint8


@pytest.mark.parametrize(
    "answer, message", [(None, "gives no picture"), (OSError("no display"), "no display.*xvfb-run")]
)
def test_an_environment_without_a_picture(answer: Any, message: str) -> None:
    with pytest.raises(UsageError, match=f"Screen can't be filmed: .*{message}"):
        render.Film().shoot(SimpleNamespace(unwrapped=Screen(answer)))
