"""EPyMARL's pretrained prey, read from the user's own checkout: nothing of it is part of this package."""

from __future__ import annotations

import os
import pickle
from pathlib import Path

import numpy as np
import torch as th
from numpy.typing import NDArray
from torch import nn

from marl_pr_common.envs.prey import OBSTACLES

PARAMETERS = Path("src", "envs", "pretrained", "prey_params.pt")
N_PREDATORS = 3
"""The number of predators that it was trained against."""
PUT_RIGHT = (0, 2, 1, 4, 3)
"""Its outputs are in the action order of the original MPE, where 1 means right and 3 means up; mpe2 swaps both."""
LAYERS = {"in_fn": "0", "fc1": "1", "fc2": "3", "fc3": "5"}
"""Names in the file, and places in the network below."""


class PretrainedPrey:
    """The policy that EPyMARL's ``PretrainedTag`` uses, with left and right, down and up put right.

    It knows three predators. Of more it is shown the nearest three, in the order of their numbers; of two it is shown
    the nearer one twice.

    :param checkout: an EPyMARL checkout; by default ``$EPYMARL_HOME``, else ``~/epymarl``
    :param as_shipped: leave its actions inverted, as EPyMARL does under PettingZoo and mpe2; to measure, not to use
    :raises FileNotFoundError: if no checkout with the parameters is there; says what to do
    :raises ValueError: if the file holds something else
    """

    def __init__(self, checkout: str | Path | None = None, as_shipped: bool = False) -> None:
        self.network = _network(find_parameters(checkout))
        self._meaning = tuple(range(len(PUT_RIGHT))) if as_shipped else PUT_RIGHT

    def __call__(self, observation: NDArray[np.float32], rng: np.random.Generator) -> int:
        """The greedy action for simple_tag's observation of the prey, (8 + 2 * number of predators,)."""
        with th.no_grad():
            scores = self.network(th.as_tensor(three_predators(observation))[None])
        return self._meaning[int(scores.argmax())]


def find_parameters(checkout: str | Path | None = None) -> Path:
    """The parameter file of the pretrained prey in a checkout of EPyMARL.

    :raises FileNotFoundError: if it is not there
    """
    given = checkout or os.environ.get("EPYMARL_HOME")
    path = Path(given or "~/epymarl").expanduser() / PARAMETERS
    if not path.is_file():
        raise FileNotFoundError(
            f"prey='pretrained' is read from a checkout of EPyMARL, but there is no {path}. Run `git clone "
            "https://github.com/uoe-agents/epymarl` and pass its directory as checkout=... or in $EPYMARL_HOME, "
            "or choose prey='flee', which needs none."
        )
    return path


def three_predators(observation: NDArray[np.float32]) -> NDArray[np.float32]:
    """The observation with exactly three predators, (14,)."""
    head, predators = np.split(observation, [4 + 2 * OBSTACLES])
    predators = predators.reshape(-1, 2)
    nearest = np.argsort(np.linalg.norm(predators, axis=1), kind="stable")
    shown = [*range(len(predators)), *nearest[:1]] if len(predators) < N_PREDATORS else sorted(nearest[:N_PREDATORS])
    return np.concatenate([head, predators[shown].ravel()])


def _network(path: Path) -> nn.Sequential:
    """Batch normalisation with its running statistics, then three linear layers, sized as the file says."""
    try:
        agents = th.load(path, map_location="cpu", weights_only=True)["agent_params"]
        weights = {
            f"{LAYERS[layer]}.{name}": value
            for (layer, name), value in ((key.split("."), value) for key, value in agents[-1]["policy"].items())
        }
        width, inputs = weights["1.weight"].shape
        network = nn.Sequential(
            nn.BatchNorm1d(inputs),
            nn.Linear(inputs, width),
            nn.ReLU(),
            nn.Linear(width, width),
            nn.ReLU(),
            nn.Linear(width, len(PUT_RIGHT)),
        )
        network.load_state_dict(weights)
    except (
        RuntimeError,
        KeyError,
        ValueError,
        TypeError,
        AttributeError,
        IndexError,
        EOFError,
        pickle.UnpicklingError,
    ):
        raise ValueError(
            f"{path} does not hold EPyMARL's pretrained prey. Restore it with `git checkout {PARAMETERS}` there."
        ) from None
    return network.eval()
