"""EPyMARL's pretrained prey, read from the user's own checkout: nothing of it is part of this package.

torch only reads the file. The network (batch normalisation by its running statistics, three linear layers with ReLU
between them) is evaluated by NumPy: faster for one observation, and at ease in forked workers.
"""

from __future__ import annotations

import os
import pickle
from pathlib import Path

import numpy as np
import torch as th
from numpy.typing import NDArray

from marl_pr_common.envs.particles.prey import OBSTACLES

PARAMETERS = Path("src", "envs", "pretrained", "prey_params.pt")
N_PREDATORS = 3
"""The number of predators that it was trained against."""
PUT_RIGHT = (0, 2, 1, 4, 3)
"""Its outputs are in the action order of the original MPE, where 1 means right and 3 means up; mpe2 swaps both."""
INPUTS = 4 + 2 * OBSTACLES + 2 * N_PREDATORS
BATCH_NORM_EPS = 1e-5
"""torch's default, which the network was made with."""
Layer = NDArray[np.float32]


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
        self._normalise, *self._layers = _layers(find_parameters(checkout))
        self._meaning = tuple(range(len(PUT_RIGHT))) if as_shipped else PUT_RIGHT

    def __call__(self, observation: NDArray[np.float32], rng: np.random.Generator) -> int:
        """The greedy action for simple_tag's observation of the prey, (8 + 2 * number of predators,)."""
        return self._meaning[int(np.argmax(self.scores(three_predators(observation))))]

    def scores(self, observation: NDArray[np.float32]) -> Layer:
        """The network's five outputs, (5,), in its own order of actions, for an observation of three predators."""
        scale, offset = self._normalise
        hidden = scale * observation + offset
        for weight, bias in self._layers[:-1]:
            hidden = np.maximum(weight @ hidden + bias, 0)
        weight, bias = self._layers[-1]
        return np.asarray(weight @ hidden + bias)


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


def _layers(path: Path) -> list[tuple[Layer, Layer]]:
    """Scale and offset of the batch normalisation in evaluation, then weights and biases of the three layers."""
    try:
        agents = th.load(path, map_location="cpu", weights_only=True)["agent_params"]
        policy = {key: value.numpy().astype(np.float32) for key, value in agents[-1]["policy"].items()}
        scale = policy["in_fn.weight"] / np.sqrt(policy["in_fn.running_var"] + BATCH_NORM_EPS)
        if scale.shape != (INPUTS,) or policy["fc3.bias"].shape != (len(PUT_RIGHT),):
            raise ValueError(f"{scale.shape} inputs, {policy['fc3.bias'].shape} actions")
        offset = policy["in_fn.bias"] - policy["in_fn.running_mean"] * scale
        return [(scale, offset), *((policy[f"fc{k}.weight"], policy[f"fc{k}.bias"]) for k in (1, 2, 3))]
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
