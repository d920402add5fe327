"""Names, numbers, words and folders that a run can't use are one message before it; what upstream runs is let pass."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from epymarl_pr.envs import starcraft
from epymarl_pr.launch import launcher, locate
from epymarl_pr.launch.errors import UsageError
from epymarl_pr.launch.locate import Checkout

PP = ["env_args.key=epymarl_pr:pp-3-v0"]
CASES: list[tuple[list[str], str]] = [
    *[([f"--config={name}", "--env-config=gymma", "with", *PP, setting], f"{setting}: expected .*{more}")
      for name, setting, more in [
          ("qmix", "learner=q_lerner", "Did you mean q_learner"), ("qmix_pr", "agent=rnn_nss", "Did you mean rnn_ns"),
          ("qmix_pr", "mac=foo", "basic_mac"), ("iql", "mixer=qmx", "qmix, vdn.* Did you mean qmix"),
          ("qmix", "env=gyma", "sc2.*Did you mean gymma"), ("qmix", "action_selector=foo", "epsilon_greedy"),
          ("mappo", "critic_type=cv_crtic", "pac_critic.*Did you mean cv_critic"),
          ("qmix_pr", "test_interval=0", "> 0"), ("qmix", "epsilon_anneal_time=0", "> 0"),
          ("qmix", "hidden_dim=0", "an integer >= 1"), ("mappo_pr", "epochs=0", "an integer >= 1"),
          ("qmix", "t_max=-5", ">= 0"), ("qmix", "test_nepisode=0", ">= 1"), ("qmix", "test_nepisode=1.5", ">= 1"),
          ("mappo", "q_nstep=0", ">= 1"), ("qmix", "gamma=1.5", r"in \[0, 1\]"), ("qmix", "lr=-1", ">= 0"),
      ]],
    (["--config=qmix_pr", "--env-config=gymma", "with", *PP, "learner=coma_learner"], "coma_learner has no reciproc"),
    (["--config=qmix", "--env-config=gymma", "with", *PP, "load_step=100"], "load_step=100 without checkpoint_path"),
    (["--config=qmix", "--env-config=gymma", "--config=iql", "with", *PP], "--config=iql: --config comes twice"),
    (["--config=qmix", "--env-config=gymma", "--forc3", "with", *PP], "--forc3: no such option. Did you mean --force"),
    (["--config=qmix", "--env-config=gymma", "print_confg"], "print_confg: no such .* Did you mean print_config"),
    (["--config=qmix", "--env-config=gymma", "with", *PP, "lr"], "lr: expected KEY=VALUE, or a file of settings"),
    *[(["--config=qmix", "--env-config=gymma", f"--run-dir={place}", "with", *PP], f"--run-dir={place}: expected a fol")
      for place in (__file__, "/proc/x")],
]  # fmt: skip


@pytest.fixture(autouse=True)
def _variable(monkeypatch: pytest.MonkeyPatch) -> None:
    """The launcher sets it for worker processes; it is to be as before after the test."""
    monkeypatch.setenv(locate.ENVIRONMENT_VARIABLE, os.environ.get(locate.ENVIRONMENT_VARIABLE, "unused"))


@pytest.mark.parametrize("arguments, message", CASES, ids=range(len(CASES)))
def test_one_message(checkout: Checkout, tmp_path: Path, arguments: list[str], message: str) -> None:
    with pytest.raises(UsageError, match=f"(?s){message}"):
        launcher.prepare([f"--epymarl-dir={checkout.root}", *arguments], tmp_path)


@pytest.mark.parametrize(
    "content, message",
    [("", "holds NoneType, expected"), ("- 1", "holds list, expected"), ("a: [", "not a file of settings"),
     (None, "there is no such file")],
)  # fmt: skip
def test_a_file_that_is_none_of_settings(checkout: Checkout, tmp_path: Path, content: str | None, message: str) -> None:
    if content is not None:
        (tmp_path / "own.yaml").write_text(content)
    command = [f"--epymarl-dir={checkout.root}", "--config=qmix", "--env-config=gymma", "with", *PP]
    with pytest.raises(UsageError, match=f"own.yaml.*{message}"):
        launcher.prepare([*command, str(tmp_path / "own.yaml")], tmp_path)


@pytest.mark.parametrize(
    "name, setting",
    [("qmix", "t_max=0"), ("qmix", "t_max=1e6"), ("qmix", "lr=0"), ("qmix", "gamma=1"), ("qmix", "log_interval=0"),
     ("qmix", "action_selector=multinomial"), ("qmix", "env=sc2"), ("coma", "q_nstep=0"), ("pac_ns", "gamma=0"),
     ("qmix", "agent=mine"), ("qmix", "--force")],
)  # fmt: skip
def test_what_upstream_runs_is_not_refused(
    checkout: Checkout, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, setting: str
) -> None:
    from modules.agents import REGISTRY

    monkeypatch.setitem(REGISTRY, "mine", REGISTRY["rnn"])
    monkeypatch.setattr(starcraft, "check", lambda config: None)
    command = [f"--config={name}", "--env-config=gymma", "with", *PP, setting]
    launcher.prepare([f"--epymarl-dir={checkout.root}", *command], tmp_path)
