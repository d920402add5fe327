"""``marl-pr push``: an agent of a run on the Hugging Face Hub, as Stable-Baselines3 alone loads it."""

from __future__ import annotations

import importlib.util
import json
import re
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tyro.conf import Positional

from marl_pr_common.cli.players import player_of
from marl_pr_common.runs.files import read_json
from marl_pr_common.runs.lean import without_compiler
from marl_pr_common.runs.provenance import RUN

PACKAGE = "huggingface_hub"
INSTALL = 'pip install "marl-pr[hub]"'


@dataclass(frozen=True)
class Command:
    """Put one agent of a run on the Hugging Face Hub: a zip file that Stable-Baselines3 loads without this package, and
    a model card that says how it came about. Needs `hf auth login`, or HF_TOKEN.
    """

    run_directory: Positional[Path]
    """Directory of a complete run of `marl-pr train`."""
    repo: str
    """USER/NAME on the Hub; made if it is not there."""
    agent: int | None = None
    """Which agent; the best of the last evaluation by default."""
    private: bool = False
    """Whether a new repository is private."""

    def run(self) -> int:
        """Upload; exit code 0."""
        if re.fullmatch(r"[\w.-]+/[\w.-]+", self.repo) is None:
            raise ValueError(f"--repo {self.repo}: expected USER/NAME, such as marl/td3-pr-hopper.")
        if importlib.util.find_spec(PACKAGE) is None:
            raise ValueError(f"the package {PACKAGE} is not installed: {INSTALL}")
        without_compiler()
        directory, player = player_of(self.run_directory)
        if player.__name__ != "sb3_pr.play":  # type: ignore[attr-defined]
            raise ValueError(f"{directory} is no run of Stable-Baselines3: there is no zip of one agent to push.")
        with tempfile.TemporaryDirectory(prefix="marl_pr_") as folder:
            chosen = export(directory, Path(folder), self.agent, self.repo)
            sys.stdout.write(f"{self._upload(Path(folder), f'agent {chosen} of {directory.name}')}\n")
        return 0

    def _upload(self, folder: Path, message: str) -> str:
        from huggingface_hub import HfApi

        api = HfApi()
        try:
            api.create_repo(self.repo, private=self.private, exist_ok=True)
            api.upload_folder(repo_id=self.repo, folder_path=str(folder), commit_message=message)
        except Exception as error:  # of the package's and its transport's own classes
            raise ValueError(
                f"--repo {self.repo}: {type(error).__name__}: {str(error).strip()} Log in with `hf auth login`, or set "
                "HF_TOKEN to a token that may write."
            ) from error
        return f"{api.endpoint}/{self.repo}"


def export(run: Path, folder: Path, agent: int | None, repo: str) -> int:
    """Write ``model.zip`` of one agent, ``README.md`` and the run's ``config.json``; which agent it is.

    :raises ValueError: if there is no such agent, or agents have different roles in one world and none is named
    """
    from marl_pr_common.runs import played
    from sb3_pr import learnt

    config, model = learnt.load(run)
    n_agents = getattr(model, "n_agents", 1)
    best = played.best_agent(run)
    chosen = agent if agent is not None else 0 if best is None else best[0]
    if not 0 <= chosen < n_agents:
        raise ValueError(f"--agent {chosen}: expected a number from 0 to {n_agents - 1}, an agent of the run.")
    lone = model.agent(chosen) if config.reciprocal else model
    lone.save(folder / "model.zip")
    described = read_json(run / RUN)
    kept = {key: described.get(key) for key in ("config", "versions", "n_agents", "engine")}
    (folder / "config.json").write_text(json.dumps(kept, indent=2) + "\n", encoding="utf-8")
    returns = played.last_returns(run).get(chosen)
    how = "" if returns is None else f"Mean return {returns:.2f} ({played.evaluation(run)}).\n\n"
    (folder / "README.md").write_text(card(config, type(lone).__name__, chosen, returns, how, repo), encoding="utf-8")
    return chosen


def card(config: Any, upstream: str, agent: int, returns: float | None, evaluated: str, repo: str) -> str:
    """The model card, as the Hub reads it."""
    metric = "" if returns is None else METRIC.format(task=config.env, upstream=upstream, value=f"{returns:.2f}")
    how = (
        f"one of {config.n_agents} agents that shared their critics (Policy Reciprocity, kappa = {config.pr.kappa:g}; "
        "[arXiv 2304.05632](https://arxiv.org/abs/2304.05632))"
        if config.reciprocal and config.n_agents > 1
        else "one agent, without reciprocity"
    )
    return CARD.format(
        task=config.env,
        upstream=upstream,
        metric=metric,
        how=how,
        evaluated=evaluated,
        agent=agent,
        steps=f"{config.timesteps_per_agent:,}",
        seed=config.seed,
        algo=config.algo,
        repo=repo,
    )


METRIC = """\
model-index:
- name: {upstream}
  results:
  - task: {{type: reinforcement-learning, name: reinforcement-learning}}
    dataset: {{name: "{task}", type: "{task}"}}
    metrics:
    - {{type: mean_reward, value: {value}, name: mean_reward, verified: false}}
"""
CARD = """\
---
library_name: stable-baselines3
tags: ["{task}", deep-reinforcement-learning, reinforcement-learning, stable-baselines3, marl-pr]
{metric}---
# {upstream} on {task}

Agent {agent} of a run of `marl-pr train --algo {algo} --env {task} --seed {seed}`: {how}, trained for {steps} steps of
its own. All settings are in `config.json`.

{evaluated}The file is a plain model of Stable-Baselines3:

```python
from huggingface_hub import hf_hub_download
from stable_baselines3 import {upstream}

model = {upstream}.load(hf_hub_download("{repo}", "model.zip"))
```
"""
