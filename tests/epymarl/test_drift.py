"""EPyMARL's functions that the wrappers rely on are the ones that they were written for.

A digest of each function's syntax tree: comments and layout may change. If one differs, read the function again, check
what stands beside it here, and only then put the new digest in.
"""

from __future__ import annotations

import ast
import hashlib
import importlib
import inspect
import textwrap
from typing import Any

import pytest

from epymarl_pr.launch.locate import TESTED_COMMIT

RELIED_ON = {
    "learners.q_learner.QLearner.__init__": ("target_mac is a copy of mac, made here", "e3e12edde706"),
    "learners.q_learner.QLearner.train": (
        "target_mac.forward is asked for every step, masked and read at one action; prediction minus target",
        "4afa9f808cd7",
    ),
    "learners.ppo_learner.PPOLearner.train_critic_sequential": ("target_critic is called with a batch", "9614fa59f4c4"),
    "learners.ppo_learner.PPOLearner.nstep_returns": ("linear in rewards and values", "0a6b20754efd"),
    "learners.actor_critic_learner.ActorCriticLearner.train_critic_sequential": ("as in PPOLearner", "9614fa59f4c4"),
    "learners.actor_critic_learner.ActorCriticLearner.nstep_returns": ("as in PPOLearner", "0a6b20754efd"),
    "learners.maddpg_learner.MADDPGLearner.train": (
        "steps of both critic calls; gradients tell them apart",
        "988e15454b39",
    ),
    "learners.maddpg_learner.MADDPGLearner._build_inputs": (
        "state | observation | last action | identity",
        "5eb9543c244a",
    ),
    "controllers.maddpg_controller.MADDPGMAC.forward": (
        "answers with logits; hidden_states is read and set",
        "b2d6fb23476e",
    ),
    "controllers.maddpg_controller.MADDPGMAC.select_actions": (
        "the runner asks the controller that the learner got",
        "1bb822d77eee",
    ),
    "modules.agents.rnn_ns_agent.RNNNSAgent.forward": ("asks self.agents[i] for agent i", "fbdd030ce9a2"),
    "modules.critics.maddpg_ns.MADDPGCriticNS.forward": (
        "inputs | joint action; asks self.critics[i] for agent i",
        "c1d8a3ebb301",
    ),
    "components.episode_buffer.ReplayBuffer.insert_episode_batch": ("takes every column of an episode", "91edf5f92cca"),
    "learners.ppo_learner.PPOLearner.train": (
        "steps agent_optimiser once an epoch, after its own gradient",
        "b28813544cfb",
    ),
    "runners.episode_runner.EpisodeRunner.run": (
        "select_actions at every step and the last state; test_mode",
        "0dd62333aa65",
    ),
    "runners.parallel_runner.ParallelRunner.run": (
        "as the episode runner; bs are those that still play",
        "4b916360e89b",
    ),
    "controllers.basic_controller.BasicMAC.select_actions": ("chooses by what forward answers", "be13fcdb76f0"),
    "controllers.non_shared_controller.NonSharedMAC.select_actions": ("as in BasicMAC", "be13fcdb76f0"),
    "controllers.basic_controller.BasicMAC.forward": ("hidden_states is read and set", "c61eeeeff380"),
    "controllers.basic_controller.BasicMAC._build_inputs": ("reads obs and actions_onehot", "c53412d2cc2a"),
    "controllers.non_shared_controller.NonSharedMAC.forward": ("as in BasicMAC", "c61eeeeff380"),
    "controllers.non_shared_controller.NonSharedMAC._build_inputs": ("as in BasicMAC", "c53412d2cc2a"),
    "modules.critics.centralV.CentralVCritic._build_inputs": ("reads state, obs and actions_onehot", "3ae4308ef9b1"),
    "modules.critics.centralV_ns.CentralVCriticNS._build_inputs": ("as in CentralVCritic", "489a2e4d7caa"),
    "modules.critics.ac.ACCritic._build_inputs": ("reads obs alone", "36167841789a"),
    "modules.critics.ac_ns.ACCriticNS._build_inputs": ("reads obs alone", "3d9510fd8281"),
    "run.run_sequential": ("counters, and the order of training, testing and saving", "3260afd18997"),
    "runners.parallel_runner.env_worker": ("answers get_stats", "d1bb22d3628d"),
}


def digest(name: str) -> str:
    module, *parts = name.split(".")
    found: Any = None
    while parts:
        try:
            found = importlib.import_module(module)
            module = f"{module}.{parts[0]}"
            importlib.import_module(module)
            parts.pop(0)
        except ModuleNotFoundError:
            break
    for part in parts:
        found = getattr(found, part)
    tree = ast.parse(textwrap.dedent(inspect.getsource(found)))
    return hashlib.sha256(repr(plain(tree)).encode()).hexdigest()[:12]


def plain(node: Any) -> Any:
    """A syntax tree as tuples, without empty fields: versions of Python differ in which of those there are."""
    if isinstance(node, list):
        return [plain(item) for item in node]
    if not isinstance(node, ast.AST):
        return node
    return (
        type(node).__name__,
        [(name, plain(value)) for name, value in ast.iter_fields(node) if value not in (None, [])],
    )


@pytest.mark.parametrize("name", RELIED_ON)
def test_upstream_is_what_the_wrappers_were_written_for(checkout: Any, name: str) -> None:
    promise, expected = RELIED_ON[name]
    assert digest(name) == expected, (
        f"EPyMARL's {name} is not that of commit {TESTED_COMMIT}. epymarl_pr relies on this: {promise}. Check it."
    )
