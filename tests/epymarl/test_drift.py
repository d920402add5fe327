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
    "learners.q_learner.QLearner.__init__": ("target_mac is a copy of mac, made here", "772b897fcbba"),
    "learners.q_learner.QLearner.train": (
        "target_mac.forward is asked for every step, masked afterwards",
        "bf2f5cedba70",
    ),
    "learners.ppo_learner.PPOLearner.train_critic_sequential": ("target_critic is called with a batch", "da960d5e7720"),
    "learners.ppo_learner.PPOLearner.nstep_returns": ("linear in rewards and values", "80a1eed4ea2f"),
    "learners.actor_critic_learner.ActorCriticLearner.train_critic_sequential": ("as in PPOLearner", "da960d5e7720"),
    "learners.actor_critic_learner.ActorCriticLearner.nstep_returns": ("as in PPOLearner", "80a1eed4ea2f"),
    "learners.maddpg_learner.MADDPGLearner.train": (
        "steps of both critic calls; gradients tell them apart",
        "e4c89a6d5ad2",
    ),
    "learners.maddpg_learner.MADDPGLearner._build_inputs": (
        "state | observation | last action | identity",
        "8d2eab6f934a",
    ),
    "controllers.maddpg_controller.MADDPGMAC.forward": (
        "answers with logits; hidden_states is read and set",
        "a59cbfba578a",
    ),
    "controllers.maddpg_controller.MADDPGMAC.select_actions": (
        "the runner asks the controller that the learner got",
        "02a6204af40b",
    ),
    "modules.agents.rnn_ns_agent.RNNNSAgent.forward": ("asks self.agents[i] for agent i", "ee877a69c829"),
    "modules.critics.maddpg_ns.MADDPGCriticNS.forward": (
        "inputs | joint action; asks self.critics[i] for agent i",
        "0a1d6c481336",
    ),
    "components.episode_buffer.ReplayBuffer.insert_episode_batch": ("takes every column of an episode", "3193ff63f793"),
    "learners.ppo_learner.PPOLearner.train": (
        "steps agent_optimiser once an epoch, after its own gradient",
        "a79f60c61c4e",
    ),
    "runners.episode_runner.EpisodeRunner.run": (
        "select_actions at every step and the last state; test_mode",
        "aef69302a28c",
    ),
    "runners.parallel_runner.ParallelRunner.run": (
        "as the episode runner; bs are those that still play",
        "6e97e90bbd6c",
    ),
    "controllers.basic_controller.BasicMAC.forward": ("hidden_states is read and set", "44e1b0958160"),
    "controllers.basic_controller.BasicMAC._build_inputs": ("reads obs and actions_onehot", "d785eb35ca0d"),
    "controllers.non_shared_controller.NonSharedMAC.forward": ("as in BasicMAC", "44e1b0958160"),
    "controllers.non_shared_controller.NonSharedMAC._build_inputs": ("as in BasicMAC", "d785eb35ca0d"),
    "modules.critics.centralV.CentralVCritic._build_inputs": ("reads state, obs and actions_onehot", "b512e33086cc"),
    "modules.critics.centralV_ns.CentralVCriticNS._build_inputs": ("as in CentralVCritic", "40826fca58ff"),
    "modules.critics.ac.ACCritic._build_inputs": ("reads obs alone", "23550562a30e"),
    "modules.critics.ac_ns.ACCriticNS._build_inputs": ("reads obs alone", "fae408461b3b"),
    "run.run_sequential": ("counters, and the order of training, testing and saving", "5dde7d21fd8e"),
    "runners.parallel_runner.env_worker": ("answers get_stats", "9bebd74e9f77"),
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
    return hashlib.sha256(ast.dump(tree).encode()).hexdigest()[:12]


@pytest.mark.parametrize("name", RELIED_ON)
def test_upstream_is_what_the_wrappers_were_written_for(checkout: Any, name: str) -> None:
    promise, expected = RELIED_ON[name]
    assert digest(name) == expected, (
        f"EPyMARL's {name} is not that of commit {TESTED_COMMIT}. epymarl_pr relies on this: {promise}. Check it."
    )
