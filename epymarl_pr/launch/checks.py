"""Is everything there that a run needs? Asked before it starts: EPyMARL's own answer would be a stack trace, or none.

No environment is made for it: some can be started once per process or machine, and some keep state in their module.
What only an environment can tell is told by the run's own (:mod:`epymarl_pr.envs.guarded`).
"""

from __future__ import annotations

import importlib.util
from collections.abc import Mapping, Sequence
from typing import Any

from epymarl_pr.envs import smax, starcraft
from epymarl_pr.launch import options, registries, values
from epymarl_pr.launch.errors import UsageError
from epymarl_pr.learners import table
from marl_pr_common.envs.smax.maps import PREFIX

INSTALL = "pip install 'marl-pr[epymarl]'"
PACKAGES = ("sacred", "gymnasium", "pettingzoo")
RUNNERS = ("episode", "parallel", "vectorised")
ONE_REWARD = ("coma_learner", "qtran_learner")
MIXERS = table.LEARNERS["q_learner"].one_reward
"""Learners, and mixers of ``q_learner``, that learn from one reward for the team: EPyMARL's own check goes by the
learner's name, and so does not know ours."""
LARGEST_SEED = 2**32
"""Workers add their number to it, and NumPy's global generator takes 32 bits."""


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
    """Whether the run's environment can be made, as far as its settings and the installed packages tell.

    :param config: the whole configuration of the run
    :raises UsageError: naming the setting and what to do
    """
    name = config.get("env")
    if not isinstance(config.get("env_args", {}), Mapping):
        raise UsageError(
            f"env_args={config['env_args']}: expected settings by name: ... with env_args.key=ENVIRONMENT "
            "env_args.time_limit=25"
        )
    seed(config)
    runner(config)
    rewards(config)
    if name == smax.NAME:
        smax.check(config)
    starcraft.check(config)
    task(config)


def algorithm(config: Mapping[str, Any]) -> None:
    """Whether everything that the run looks up by name is there, its numbers are ones that it can use, and they go
    together.

    :raises UsageError: naming the setting and what it takes
    """
    registries.check(config)
    values.check(config)
    full_checkpoint(config)
    replay(config)
    logs(config)
    results = config.get("local_results_path", "results")
    if not isinstance(results, str):
        raise UsageError(
            f"local_results_path={results!r} is no text, expected the name of a folder; of a number, "
            f"local_results_path=./{results}"
        )


def task(config: Mapping[str, Any]) -> None:
    """Whether a task is named, by the setting that its kind of environment has.

    :raises UsageError: if not
    """
    arguments = config.get("env_args") or {}
    label = "key" if "key" in arguments else "map_name"
    if arguments.get(label) is None:
        raise UsageError(f"env_args.{label} is missing: ... with env_args.{label}=ENVIRONMENT")
    name = str(arguments[label])
    if name.startswith(PREFIX):
        battle = f"--env-config={smax.NAME} with env_args.map_name={name.removeprefix(PREFIX)}"
        raise UsageError(f"env_args.{label}={name}: in EPyMARL that is {battle}")


def rewards(config: Mapping[str, Any]) -> None:
    """Whether the learner takes the rewards that it is to be given.

    :raises UsageError: if not
    """
    if config.get("common_reward", True):
        scale = config.get("reward_scalarisation", "sum")
        if scale not in ("sum", "mean"):
            raise UsageError(f"reward_scalarisation: {scale} is not known: expected sum or mean.")
        return
    learner = options.host_learner(config.get("learner"))
    mixed = learner == "q_learner" and config.get("mixer") in MIXERS
    if mixed or learner in ONE_REWARD:
        raise UsageError(
            f"common_reward=False with --config={config.get('name')}: it learns from one reward for the team. Use "
            "common_reward=True, or an algorithm with one reward per agent, such as iql, mappo or maddpg."
        )


def replay(config: Mapping[str, Any]) -> None:
    """Whether the replay buffer can ever give a batch; EPyMARL would run to the end without a single update.

    :raises UsageError: if not
    """
    size, batch = config.get("buffer_size"), config.get("batch_size")
    for key, value in (("buffer_size", size), ("batch_size", batch)):
        if type(value) is not int or value < 1:
            raise UsageError(f"{key}={value}: expected a number of episodes >= 1.")
    trains = not (config.get("evaluate") or config.get("save_replay"))
    if trains and size < batch:  # type: ignore[operator]
        raise UsageError(
            f"buffer_size={size} with batch_size={batch}: the buffer never holds a batch, so that nothing would be "
            f"learned. Use buffer_size={batch} or more."
        )


def logs(config: Mapping[str, Any]) -> None:
    """Whether Weights & Biases can be logged to, if it is to be.

    :raises UsageError: if not
    """
    if not config.get("use_wandb"):
        return
    if importlib.util.find_spec("wandb") is None:
        raise UsageError("use_wandb=True: the package wandb is not installed: pip install wandb")
    for key in ("wandb_team", "wandb_project"):
        if not config.get(key):
            raise UsageError(f"use_wandb=True without {key}: ... with {key}=NAME")
    if config.get("wandb_mode") not in ("offline", "online"):
        raise UsageError(f"wandb_mode={config.get('wandb_mode')}: expected offline or online.")


def seed(config: Mapping[str, Any]) -> None:
    """Whether the run's seed is one; without any, sacred draws one.

    :raises UsageError: if not
    """
    given = config.get("seed")
    rows = config.get("batch_size_run")
    limit = LARGEST_SEED - (rows if type(rows) is int else 1)
    if given is not None and not (type(given) is int and 0 <= given <= limit):
        raise UsageError(f"seed={given}: expected an integer in [0, {limit}].")


def runner(config: Mapping[str, Any]) -> None:
    """Whether there is an episode to run, the controller can act in as many at once as the runner has, and
    ``runner=vectorised`` has a simulator of the environment as it is set.

    :raises UsageError: if not
    """
    rows, name = config.get("batch_size_run", 1), config.get("runner")
    if type(rows) is not int or rows < 1:
        raise UsageError(f"batch_size_run={rows}: expected a number of environments >= 1.")
    if name is not None and name not in RUNNERS:
        registries.require("runner", name)  # a checkout may have others of its own
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
    from epymarl_pr.envs.ours import task_name  # needs gymnasium

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
