"""A checkpoint that was written long ago still loads, exactly."""

import hashlib
from pathlib import Path

import numpy as np
import pytest
import torch as th
from stable_baselines3.common.env_util import make_vec_env

from marl_pr_common.checkpoint import load, save
from sb3_pr import TD3PR, CheckpointCallback, load_checkpoint

GOLDEN = Path(__file__).parent / "golden"
"""Format 1. Made by ``python -m tests.resume.test_golden``; never made again for the same format."""
DIGESTS = {
    "types-1": "741481c1c4599974a58db7040bb35972a45942bb6ade4728b59968a83780e20a",
    "td3pr-1": "e8d9d8cdaa0b0c4cd2a0fafdca62de5b22281cd6b3443728d49c6388401c67f3",
}


def types():
    """One of everything."""
    return {
        "plain": [None, True, 3, 2**100, 0.1, float("inf"), "Größe", (1, (2,))],
        "keys": {0: "int", "0": "str"},
        "tensors": [th.arange(6).view(2, 3).t(), th.tensor(1.5, dtype=th.bfloat16), th.zeros(0, 2), th.tensor([True])],
        "arrays": [np.arange(6.0).reshape(2, 3).T, np.array(7, np.uint8), np.zeros((0,)), np.array(["ab", "c"])],
        "scalars": [np.float32(1.5), np.int8(-1), np.bool_(True), np.str_("x")],
        "rng": np.random.default_rng(0).bit_generator.state,
    }


def model():
    options = {"learning_starts": 10, "buffer_size": 60, "batch_size": 8, "seed": 0}
    return TD3PR("MlpPolicy", make_vec_env("Pendulum-v1", 2, seed=0), policy_kwargs={"net_arch": [4]}, **options)


def digest(path):
    files = sorted(path.glob("*"))
    return hashlib.sha256(b"".join(file.name.encode() + file.read_bytes() for file in files)).hexdigest()


@pytest.mark.parametrize("name", DIGESTS)
def test_the_files_are_those_of_then(name):
    assert digest(GOLDEN / name) == DIGESTS[name]


def test_every_type():
    from tests.checkpoint.test_round_trip import same

    assert same(types(), load(GOLDEN / "types-1").tree)


@pytest.mark.filterwarnings("ignore:.*other versions")
def test_a_model_goes_on():
    resumed = model()
    found = load_checkpoint(GOLDEN / "td3pr-1", resumed)
    assert (found.manifest.kind, found.manifest.step, found.manifest.exact) == ("TD3PR", 80, True)
    assert (resumed.num_timesteps, resumed._n_updates, resumed.replay_buffer.pos) == (80, 35, 10)
    assert resumed.replay_buffer.full
    weight = resumed.policy.actor.mu[0].weight
    assert weight.shape == (2, 3, 4)
    np.testing.assert_array_equal(
        weight.detach().numpy(), found.tree["model"]["networks"]["policy"]["actor.mu.0.weight"]
    )
    assert resumed.reciprocity.generator(th.device("cpu")) is not None
    resumed.learn(40, reset_num_timesteps=False)
    assert resumed.num_timesteps == 120


if __name__ == "__main__":
    GOLDEN.mkdir(exist_ok=True)
    save(GOLDEN, types(), step=1).rename(GOLDEN / "types-1")
    model().learn(80, callback=CheckpointCallback(0, GOLDEN))
    next(GOLDEN.glob("*-step-80")).rename(GOLDEN / "td3pr-1")
    (GOLDEN / ".lock").unlink()
