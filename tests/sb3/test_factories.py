"""A function that makes environments is called once for each column, and what was made for an evaluation is closed."""

import gymnasium as gym
import pytest

from sb3_pr import TD3PR, evaluate_agents
from sb3_pr.envs.columns import make_columns


class Counted(gym.Wrapper):
    made = closed = 0

    def __init__(self):
        Counted.made += 1
        super().__init__(gym.make("Pendulum-v1", max_episode_steps=5))

    def close(self):
        Counted.closed += 1
        super().close()


@pytest.fixture(autouse=True)
def _fresh():
    Counted.made = Counted.closed = 0


@pytest.mark.parametrize("n_agents", [1, 3])
def test_no_environment_is_made_for_a_look(n_agents):
    venv = make_columns(Counted, n_agents)
    assert (venv.num_envs, Counted.made, Counted.closed) == (n_agents, n_agents, 0)
    assert len({id(env.unwrapped) for env in venv.envs}) == n_agents


def test_an_evaluation_closes_what_it_made_and_nothing_else():
    model = TD3PR("MlpPolicy", "Pendulum-v1", n_agents=2, policy_kwargs={"net_arch": [4]})
    evaluate_agents(model, Counted, 1)
    assert Counted.made == Counted.closed == 1
    evaluate_agents(model, Counted(), 1)
    assert (Counted.made, Counted.closed) == (2, 1)
