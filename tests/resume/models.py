"""Models that are interrupted, and a callback that counts for itself."""

from stable_baselines3.common.callbacks import BaseCallback
from stable_baselines3.common.env_util import make_vec_env

SMALL = {"net_arch": [16]}


def pendulum(n):
    return make_vec_env("Pendulum-v1", n, seed=3)


def small(cls, env, **options):
    """A model of small networks."""
    return cls("MlpPolicy", env, policy_kwargs=SMALL, **options)


def settings(model):
    model.learning_starts, model.batch_size = 40, 16
    return model


class Anneal(BaseCallback):
    """Changes kappa, and counts for itself."""

    def __init__(self):
        super().__init__()
        self.history = []

    def _on_step(self):
        if self.n_calls % 50 == 0 and self.model.n_agents > 1:
            self.model.kappa = 0.5 * 0.9 ** (self.n_calls // 50)
            self.history.append(self.model.kappa)
        return True
