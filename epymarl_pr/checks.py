"""Is everything there that a run needs? Asked before it starts: EPyMARL's own answer would be a stack trace, or none.

Its parallel runner waits for ever for a worker that died while it built its environment.
"""

from __future__ import annotations

import importlib.util
import random
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

from epymarl_pr import smax, starcraft
from epymarl_pr.errors import UsageError
from marl_pr_common.envs.smax_maps import PREFIX

INSTALL = "pip install 'marl-pr[epymarl]'"
PACKAGES = ("sacred", "gymnasium", "pettingzoo")
RUNNERS = ("episode", "parallel", "vectorised")
LARGEST_SEED = 2**31
"""Workers add their number to it, and NumPy's global generator takes 32 bits."""
TRIED = ("gymma", "smaclite")
"""Environments that are built once before the run; the others start a game of their own for it."""


def packages() -> None:
    """Whether the packages are installed that every run needs.

    :raises UsageError: naming the first that is missing
    """
    for name in PACKAGES:
        if importlib.util.find_spec(name) is None:
            raise UsageError(f"the package {name} is not installed. EPyMARL needs it: {INSTALL}")


def separator(arguments: Sequence[str]) -> None:
    """Whether ``with`` stands before the settings; sacred would take ``lr=0.1`` for the name of a command.

    :raises UsageError: naming the first setting without it
    """
    end = arguments.index("with") if "with" in arguments else len(arguments)
    for before, argument in zip(["", *arguments], arguments[:end], strict=False):
        if "=" in argument and not argument.startswith("-") and not before.startswith("-"):
            raise UsageError(f"{argument} stands before `with`. Settings come after it: ... with {argument}")


def full_checkpoint(config: Mapping[str, Any]) -> None:
    """Whether a run that is to be resumed saves anything.

    :raises UsageError: for ``pr_full_checkpoint=True`` without ``save_model=True``
    """
    trains = not (config.get("evaluate") or config.get("save_replay"))
    if trains and config.get("pr_full_checkpoint") and not config.get("save_model"):
        raise UsageError(
            "pr_full_checkpoint=True with save_model=False: nothing would be saved. Add save_model=True, and "
            "save_model_interval=STEPS for how often."
        )


def run_dir(config: Mapping[str, Any]) -> None:
    """Whether everything that a run writes can go below one folder.

    :raises UsageError: with TensorBoard, whose folder EPyMARL takes from where its own file lies
    """
    if config.get("use_tensorboard"):
        raise UsageError(
            "use_tensorboard=True with --run-dir: EPyMARL writes TensorBoard's files into its own folder. "
            "Leave one of the two out."
        )


def environment(config: Mapping[str, Any]) -> None:
    """Build the run's environment once and close it again.

    :param config: the whole configuration of the run
    :raises UsageError: if it can't be built; the message names ``env_args.key`` and says what to do
    """
    name = config.get("env")
    seed(config)
    runner(config)
    if name == smax.NAME:
        smax.check(config)
    starcraft.check(config)
    if name in TRIED:
        with _generators_untouched():
            built = build(config)
            built.close()


def seed(config: Mapping[str, Any]) -> None:
    """Whether the run's seed is one; without any, sacred draws one.

    :raises UsageError: if not
    """
    given = config.get("seed")
    if given is not None and not (type(given) is int and 0 <= given < LARGEST_SEED):
        raise UsageError(f"seed={given}: expected an integer in [0, 2**31 - 1].")


def runner(config: Mapping[str, Any]) -> None:
    """Whether there is an episode to run, the controller can act in as many at once as the runner has, and
    ``runner=vectorised`` has a simulator of the environment as it is set.

    :raises UsageError: if not
    """
    rows, name = config.get("batch_size_run", 1), config.get("runner")
    if type(rows) is not int or rows < 1:
        raise UsageError(f"batch_size_run={rows}: expected a number of environments >= 1.")
    if name is not None and name not in RUNNERS:
        from runners import REGISTRY  # a checkout may have others of its own

        if name not in REGISTRY:
            raise UsageError(f"runner={name}: expected one of {', '.join(sorted({*RUNNERS, *REGISTRY}))}.")
    if name == "episode" and rows != 1:
        raise UsageError(f"batch_size_run={rows} with runner=episode: it has one environment. Use runner=parallel.")
    if name != "episode" and config.get("mac") == "maddpg_mac":
        raise UsageError(
            f"runner={name} with mac=maddpg_mac: EPyMARL's MADDPG, and what is built on it (MAPTF, DVM), acts in one "
            "environment at a time. Use runner=episode batch_size_run=1."
        )
    if name == "vectorised":
        _simulated(config)


def _simulated(config: Mapping[str, Any]) -> None:
    from epymarl_pr.environments import task_name  # needs gymnasium

    env_args = config.get("env_args") or {}
    on_jax = task_name(env_args.get("key")) is not None and env_args.get("engine") == "jaxmarl"
    if config.get("env") != smax.NAME and not on_jax:
        raise UsageError(
            f"runner=vectorised with env={config.get('env')}: it runs env={smax.NAME}, and epymarl_pr:pp-N-v0 and "
            "epymarl_pr:spread-N-v0 with env_args.engine=jaxmarl. Use runner=parallel for anything else."
        )
    if env_args.get("pretrained_wrapper"):
        raise UsageError(
            f"runner=vectorised with env_args.pretrained_wrapper={env_args['pretrained_wrapper']}: no wrapper goes "
            "round its simulator. Use runner=parallel."
        )
    if config.get("render"):
        raise UsageError("runner=vectorised with render=True: it draws nothing. Film the team: epymarl_pr.render.")


def build(config: Mapping[str, Any]) -> Any:
    """EPyMARL's own environment object.

    :raises UsageError: if it can't be built
    """
    arguments = config.get("env_args") or {}
    label = "key" if "key" in arguments else "map_name"
    if arguments.get(label) is None:
        raise UsageError(f"env_args.{label} is missing: ... with env_args.{label}=ENVIRONMENT")
    name = str(arguments[label])
    if name.startswith(PREFIX):
        battle = f"--env-config={smax.NAME} with env_args.map_name={name.removeprefix(PREFIX)}"
        raise UsageError(f"env_args.{label}={name}: in EPyMARL that is {battle}")
    rewards = {key: config[key] for key in ("common_reward", "reward_scalarisation")}
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # the run will say it again
            from envs import REGISTRY

            return REGISTRY[config["env"]](**{**arguments, "seed": config.get("seed") or 0, **rewards})
    except Exception as error:  # whatever a third party's environment raises
        raise UsageError(_refusal(f"env_args.{label}={arguments[label]}", arguments, error)) from error


def _refusal(what: str, arguments: Mapping[str, Any], error: Exception) -> str:
    from gymnasium.error import NameNotFound, NamespaceNotFound, VersionNotFound

    reason = str(error).strip().rstrip(".") or type(error).__name__
    if isinstance(error, (NameNotFound, NamespaceNotFound, VersionNotFound)):
        return (
            f"{what}: {reason}. Ids that a package registers are written PACKAGE:ID, such as "
            "env_args.key=lbforaging:Foraging-8x8-2p-3f-v3 or epymarl_pr:pp-3-v0; that package must be installed."
        )
    if isinstance(error, ModuleNotFoundError):
        return f"{what}: {reason}. Install the package that holds this environment, or correct its name."
    others = ", ".join(f"{key}={value}" for key, value in arguments.items() if key not in ("key", "map_name", "seed"))
    return f"{what} can't be built with {others}: {reason}. Change that setting: ... with env_args.NAME=VALUE"


@contextmanager
def _generators_untouched() -> Iterator[None]:
    """Environments may seed or use the global generators, from which sacred draws the seed of a run without one."""
    import numpy as np
    import torch as th

    states = random.getstate(), np.random.get_state(), th.get_rng_state()  # noqa: NPY002
    try:
        yield
    finally:
        random.setstate(states[0])
        np.random.set_state(states[1])  # noqa: NPY002
        th.set_rng_state(states[2])
