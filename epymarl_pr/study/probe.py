"""The number of agents of an environment, from EPyMARL's own environment object.

EPyMARL's modules have names such as ``run`` and ``utils``; a process of its own keeps them out of the study's.

    python -m epymarl_pr.study.probe CHECKOUT < configurations, one line of JSON each
"""

from __future__ import annotations

import atexit
import contextlib
import functools
import json
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from epymarl_pr.envs.guarded import GuardedFactory, Uses
from epymarl_pr.launch import checks, compat, last_words, locate, register
from epymarl_pr.launch.errors import UsageError, bare, exit_code
from epymarl_pr.study import processes

SECONDS = 300
MARK = "marl-pr: "


def n_agents(checkout: locate.Checkout, config: Mapping[str, Any]) -> int:
    """How many agents the environment of a configuration has. Asked once for each task in this process.

    :param config: with ``env``, ``env_args``, ``common_reward`` and ``reward_scalarisation``
    :raises UsageError: if the environment can't be built
    """
    wanted = {key: config[key] for key in ("env", "env_args", "common_reward", "reward_scalarisation")}
    return _ask(str(checkout.root), json.dumps(wanted, sort_keys=True))


@functools.cache
def _ask(root: str, config: str) -> int:
    answer = _Answering.of(root).ask(config)
    if "n_agents" in answer:
        return int(answer["n_agents"])
    if answer["error"] is None:
        named = last_words.named(json.loads(config)["env_args"])
        raise UsageError(f"{named}: the environment was not there after {SECONDS} s.")
    raise UsageError(answer["error"])


class _Answering:
    """The process that answers, one for all questions: what it imports takes seconds."""

    running: _Answering | None = None

    @classmethod
    def of(cls, root: str) -> _Answering:
        """The one that runs, if nothing is different for it."""
        given = (root, processes.variables())
        if cls.running is None or cls.running.given != given or cls.running.process.poll() is not None:
            if cls.running is not None:
                cls.running.end()
            cls.running = cls(*given)
            atexit.register(cls.running.end)
        return cls.running

    def __init__(self, root: str, variables: dict[str, str]):
        self.given = (root, variables)
        self.folder = tempfile.TemporaryDirectory(prefix="epymarl_pr_")  # cells, too, run in folders of their own
        self.said = (Path(self.folder.name) / "stderr.txt").open("w+")
        self.process = subprocess.Popen(
            [sys.executable, "-m", "epymarl_pr.study.probe", root],
            cwd=self.folder.name,
            env=variables,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self.said,
            text=True,
        )

    def ask(self, config: str) -> dict[str, Any]:
        """``n_agents``, or ``error``: a line, None if it took too long."""
        too_long = threading.Event()

        def give_up() -> None:
            too_long.set()
            self.process.kill()

        timer = threading.Timer(SECONDS, give_up)
        timer.daemon = True
        timer.start()
        stdin, stdout = self.process.stdin, self.process.stdout
        assert stdin is not None
        assert stdout is not None
        try:
            with contextlib.suppress(BrokenPipeError):
                stdin.write(config + "\n")
                stdin.flush()
            for line in stdout:
                if line.startswith(MARK):
                    answer: dict[str, Any] = json.loads(line.removeprefix(MARK))
                    return answer
        finally:
            timer.cancel()
        self.process.wait()
        self.said.seek(0)
        lines = self.said.read().strip().splitlines() or ["it said nothing"]
        self.end()
        return {"error": None if too_long.is_set() else lines[-1]}

    def end(self) -> None:
        """End the process; a second call does nothing."""
        self.process.kill()
        self.process.communicate()
        self.said.close()
        self.folder.cleanup()


def main(root: str) -> None:
    """Answer each configuration that is asked about, a line of JSON, with a line."""
    compat.install(Path(root) / "src")
    register.environments()
    for question in sys.stdin:
        answer = _answer(json.loads(question))
        sys.stdout.write(f"\n{MARK}{json.dumps(answer)}\n")
        sys.stdout.flush()


def _answer(config: dict[str, Any]) -> dict[str, Any]:
    try:
        checks.environment(config)
        rewards = {key: config[key] for key in ("common_reward", "reward_scalarisation")}
        env = _make(config["env"])(**{**config["env_args"], "seed": 0, **rewards})
        found = int(env.get_env_info()["n_agents"])
        env.close()
    except Exception as error:
        if not (isinstance(error, UsageError) or exit_code(error)):
            raise
        return {"error": bare(error)}
    return {"n_agents": found}


def _make(name: str) -> Callable[..., Any]:
    """EPyMARL's function for an environment."""
    import envs

    if name == "sc2":
        envs.register_smac()
    elif name == "sc2v2":
        envs.register_smacv2()
    return GuardedFactory(envs.REGISTRY[name], Uses())


if __name__ == "__main__":
    main(*sys.argv[1:])
