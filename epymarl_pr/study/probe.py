"""The number of agents of an environment, from EPyMARL's own environment object.

EPyMARL's modules have names such as ``run`` and ``utils``; a process of its own keeps them out of the study's.

    python -m epymarl_pr.study.probe < configuration.json
"""

from __future__ import annotations

import functools
import json
import subprocess
import sys
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from epymarl_pr.envs.guarded import GuardedFactory, Uses
from epymarl_pr.launch import checks, compat, last_words, locate, register
from epymarl_pr.launch.errors import UsageError, bare, exit_code
from epymarl_pr.study import processes

SECONDS = 300
MARK = "n_agents="


def n_agents(checkout: locate.Checkout, config: Mapping[str, Any]) -> int:
    """How many agents the environment of a configuration has. Asked once for each task in this process.

    :param config: with ``env``, ``env_args``, ``common_reward`` and ``reward_scalarisation``
    :raises UsageError: if the environment can't be built
    """
    wanted = {key: config[key] for key in ("env", "env_args", "common_reward", "reward_scalarisation")}
    return _ask(str(checkout.root), json.dumps(wanted, sort_keys=True))


@functools.cache
def _ask(root: str, config: str) -> int:
    with tempfile.TemporaryDirectory(prefix="epymarl_pr_") as folder:  # cells, too, run in folders of their own
        try:
            done = subprocess.run(
                [sys.executable, "-m", "epymarl_pr.study.probe", root],
                input=config,
                cwd=folder,
                env=processes.variables(),
                capture_output=True,
                text=True,
                timeout=SECONDS,
                check=False,
            )
        except subprocess.TimeoutExpired:
            named = last_words.named(json.loads(config)["env_args"])
            raise UsageError(f"{named}: the environment was not there after {SECONDS} s.") from None
    found = [line for line in done.stdout.splitlines() if line.startswith(MARK)]
    if done.returncode == 0 and found:
        return int(found[-1].removeprefix(MARK))
    lines = done.stderr.strip().splitlines() or ["it said nothing"]
    raise UsageError(lines[-1])


def main(root: str) -> int:
    """Build the environment, print its number of agents; an error is one line."""
    config = json.load(sys.stdin)
    compat.install(Path(root) / "src")
    register.environments()
    try:
        checks.environment(config)
        rewards = {key: config[key] for key in ("common_reward", "reward_scalarisation")}
        env = _make(config["env"])(**{**config["env_args"], "seed": 0, **rewards})
        found = env.get_env_info()["n_agents"]
    except Exception as error:
        if not (isinstance(error, UsageError) or exit_code(error)):
            raise
        sys.stderr.write(f"{bare(error)}\n")
        return 2
    sys.stdout.write(f"{MARK}{found}\n")
    env.close()
    return 0


def _make(name: str) -> Callable[..., Any]:
    """EPyMARL's function for an environment."""
    import envs

    if name == "sc2":
        envs.register_smac()
    elif name == "sc2v2":
        envs.register_smacv2()
    return GuardedFactory(envs.REGISTRY[name], Uses())


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
