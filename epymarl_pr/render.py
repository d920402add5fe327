"""``python -m epymarl_pr.render``: film a trained team of EPyMARL, as a GIF or an MP4, without a display.

run the launcher with evaluate=True, one environment, episodes in turn; sacred keeps no record of it
the environment wrapper keeps a frame of every state
write them
"""

from __future__ import annotations

import inspect
import os
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from epymarl_pr.launch import launcher
from epymarl_pr.launch.errors import UsageError
from marl_pr_common.runs.film import FPS, check_film, picture, said, write_film

USAGE = """\
python -m epymarl_pr.render --out=FILE --config=ALGORITHM --env-config=gymma with checkpoint_path=FOLDER [KEY=VALUE ...]

Films a trained team. The arguments are those of the run that trained it, with
  --out=FILE.gif     or FILE.mp4: where the film goes
  --episodes=N       how many episodes (1)
  --fps=N            frames per second (what the environment says, else 10)
  checkpoint_path=   after `with`: the folder that holds the saved models, such as results/models/qmix_pr_seed1_...,
                     and load_step= for another one than the last; save_model=True saves them during training
"""


class Film:
    """Frames of a run's environment.

    frames: (height, width, 3) each, uint8
    fps: frames per second that the environment gives in its metadata, if it does
    """

    def __init__(self) -> None:
        self.frames: list[NDArray[np.uint8]] = []
        self.fps: float | None = None

    def install(self) -> None:
        """Have EPyMARL's gymma environments filmed; the checkout must be importable."""
        from envs import REGISTRY
        from envs.gymma import GymmaWrapper

        film = self

        class Filmed(GymmaWrapper):  # type: ignore[misc]
            def reset(self, *args: Any, **kwargs: Any) -> Any:
                result = super().reset(*args, **kwargs)
                film.shoot(self._env)
                return result

            def step(self, actions: Any) -> Any:
                result = super().step(actions)
                film.shoot(self._env)
                return result

        REGISTRY["gymma"] = lambda **arguments: Filmed(**arguments, render_mode="rgb_array")

    def shoot(self, env: Any) -> None:
        """Keep a frame.

        :raises UsageError: if the environment gives none
        """
        inner = env.unwrapped
        self.fps = self.fps or inner.metadata.get("render_fps")
        if type(inner).__name__ == "PettingZooWrapper":
            inner = inner._env  # EPyMARL's wrapper calls render(mode), which PettingZoo has long had no argument for
        mode = {"mode": "rgb_array"} if "mode" in inspect.signature(inner.render).parameters else {}
        try:
            frame = picture(inner.render(**mode))
        except Exception as error:  # whatever a third party's renderer raises
            raise UsageError(
                f"{type(inner).__name__} can't be filmed: {said(error)}. "
                "If it needs a display, give it one: xvfb-run -a python -m epymarl_pr.render ..."
            ) from error
        if frame is None:
            raise UsageError(f"{type(inner).__name__} can't be filmed: render_mode='rgb_array' gives no picture.")
        self.frames.append(frame)


def main(argv: Sequence[str], namespace: dict[str, Any]) -> None:
    """Film a team.

    :param argv: the arguments, without the program's name
    :param namespace: of the module ``__main__``; EPyMARL's ``main.py`` runs in it
    :raises SystemExit: with code 2 for a mistake of the user's, after one message
    """
    if not argv or "-h" in argv or "--help" in argv:
        sys.stdout.write(USAGE)
        return
    os.environ.setdefault("SDL_VIDEODRIVER", "dummy")  # before pygame is imported
    with launcher.one_message("epymarl_pr.render"), tempfile.TemporaryDirectory(prefix="epymarl_pr_") as folder:
        arguments = list(argv)
        file = output(launcher.take(arguments, "--out"))
        episodes = int(number("--episodes", launcher.take(arguments, "--episodes")) or 1)
        fps = number("--fps", launcher.take(arguments, "--fps"))
        prepared = launcher.prepare(evaluation(arguments, episodes), Path(folder))
        check(prepared.config)
        film = Film()
        film.install()
        launcher.run_main(prepared, namespace)
        write_film(file, film.frames, fps or film.fps or FPS)
    sys.stdout.write(f"{file}: {episodes} episode{'s' * (episodes > 1)}, {len(film.frames)} frames\n")


def evaluation(arguments: Sequence[str], episodes: int) -> list[str]:
    """The launcher's arguments for an evaluation that sacred keeps no record of."""
    settings = [] if "with" in arguments else ["with"]
    settings += ["evaluate=True", "runner=episode", "batch_size_run=1", f"test_nepisode={episodes}"]
    settings += ["render=False", "save_replay=False", "use_tensorboard=False", "use_wandb=False"]
    return ["--unobserved", *arguments, *settings]


def check(config: Mapping[str, Any]) -> None:
    """Whether there is a gymma environment; what is saved, the launcher has looked for.

    :raises UsageError: if not
    """
    if config["env"] != "gymma":
        raise UsageError(f"env={config['env']} can't be filmed; gymma environments can.")


def output(name: str | None) -> Path:
    """The file to write.

    :raises UsageError: without a name, with another ending than GIF or MP4, or without what writes it
    """
    if not name:
        raise UsageError(f"--out=FILE is missing.\n\n{USAGE}")
    try:
        check_film(Path(name))
    except ValueError as error:
        raise UsageError(str(error)) from error
    return Path(name)


def number(flag: str, value: str | None) -> float | None:
    """A positive number, or None where the flag is not given.

    :raises UsageError: for anything else
    """
    if value is None:
        return None
    whole = flag == "--episodes"
    try:
        found = float(value)
    except ValueError:
        found = 0.0
    if not 0 < found < float("inf") or (whole and not found.is_integer()):
        raise UsageError(f"{flag}={value}: expected a {'whole ' * whole}number above 0.")
    return found


if __name__ == "__main__":
    main(sys.argv[1:], globals())
