"""What each of several stacked teams writes about itself: results and log, as if it ran alone."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from stable_baselines3.common.evaluation import evaluate_policy
from stable_baselines3.common.logger import CSVOutputFormat

from marl_pr_common.reciprocity.guards import NonFiniteError
from marl_pr_common.runs.table import Clock
from sb3_pr import ending
from sb3_pr.bounds import EndlessEpisodeError, bound, longest
from sb3_pr.evaluation import AgentReturns
from sb3_pr.logs import best_agent
from sb3_pr.study.config import TrainConfig
from sb3_pr.study.recorder import Recorder, say
from sb3_pr.voting import Voter, can_vote


def of_team(key: str, team: int, alone: bool) -> str | None:
    """A key of a stack's log as the team's own log has it; None for what is another's, or a mean over teams.

    :param alone: whether the team is one agent, which has no number in its log
    """
    named = re.match(r"(\w+)/team_(\d+)/(?:agent_0/)?" if alone else r"(\w+)/team_(\d+)/", key)
    if named is not None:
        return f"{named[1]}/{key[named.end() :]}" if int(named[2]) == team else None
    return key if key.startswith("time/") or key in ("train/n_updates", "train/learning_rate") else None


class TeamLog(CSVOutputFormat):
    """A team's ``progress.csv``: a cell of a stack has what SB3 would log of it alone, but for what only means tell."""

    def __init__(self, path: Path, team: int, n_teams: int, alone: bool) -> None:
        super().__init__(str(path))
        self.team, self.n_teams, self.alone = team, n_teams, alone
        self.label = f"team_{team}/{path.name}"
        self.ended = False

    def write(self, key_values: dict[str, Any], key_excluded: dict[str, tuple[str, ...]], step: int = 0) -> None:
        if self.ended:
            return
        own = {}
        for key, value in key_values.items():
            name = of_team(key, self.team, self.alone)
            if name is not None:
                own[name] = value // self.n_teams if name in ("time/total_timesteps", "time/episodes") else value
        super().write(own, dict.fromkeys(own, ()), step)


class Evaluations:
    """Evaluations of all teams at once, each with the episodes that it would play alone; they are played when the first
    team asks.

    :param configs: of the teams
    :param env: a DummyVecEnv with equally many environments for every agent of every team, up to ``eval_episodes``
    :param single: a VecEnv of ``eval_episodes`` environments, for votes
    """

    def __init__(self, configs: list[TrainConfig], env: Any, single: Any) -> None:
        self.configs, self.env, self.single = configs, env, single
        self._longest = longest(env, configs[0].eval_max_steps or None)
        self._found: list[AgentReturns] = []
        self._at: tuple[int, int] | None = None

    def of(self, model: Any, team: int) -> AgentReturns:
        """Of one team, with the networks of now."""
        now = (model.num_timesteps, model._n_updates)
        if now != self._at:
            self._found, self._at = self._play(model), now
        return self._found[team]

    def _play(self, model: Any) -> list[AgentReturns]:
        number, size, found = self.configs[0].eval_episodes, model.n_agents, []
        returns = self._episodes(model).reshape(model.n_teams, size, number)
        for team, config in enumerate(self.configs):
            members = list(returns[team])
            if size == 1:
                found.append(AgentReturns(members, members[0], members[0]))
                continue
            episodes = model._agent_episodes[team * size : (team + 1) * size]
            vote = None
            if config.eval_vote and team not in model.ended:
                vote = self._vote(model, team, config.evaluation_seed)
            found.append(AgentReturns(members, members[best_agent(episodes)], vote))
        return found

    def _vote(self, model: Any, team: int, seed: int) -> np.ndarray | None:
        alone = model.team(team, replay=False)
        if not can_vote(alone):
            return None
        self.single.seed(seed)
        number = self.configs[team].eval_episodes
        options: Any = {"return_episode_rewards": True, "warn": False, "callback": bound(self._longest)}
        rewards, _ = evaluate_policy(Voter(alone), self.single, number, **options)
        return np.asarray(rewards, dtype=np.float64)

    def _episodes(self, model: Any) -> np.ndarray:
        """(n_columns, eval_episodes) returns; NaN of teams that have ended."""
        number, envs = self.configs[0].eval_episodes, self.env.envs
        at_once = len(envs) // model.n_columns
        agents = [slot // at_once for slot in range(len(envs))]
        episodes = [slot % at_once for slot in range(len(envs))]  # which every environment plays
        observations = [self._begun(model, *given) for given in zip(envs, agents, episodes, strict=True)]
        running = [slot for slot, agent in enumerate(agents) if agent // model.n_agents not in model.ended]
        returns, steps = np.full((model.n_columns, number), np.nan), [0] * len(envs)
        while running:
            left, actions = [], _answers(model.policy, observations)
            for slot in running:
                observations[slot], _, ended, truncated, info = envs[slot].step(actions[slot])
                steps[slot] += 1
                if ended or truncated:
                    returns[agents[slot], episodes[slot]] = info["episode"]["r"]
                    episodes[slot] += at_once
                    if episodes[slot] >= number:
                        continue
                    observations[slot] = self._begun(model, envs[slot], agents[slot], episodes[slot])
                    steps[slot] = 0
                elif steps[slot] >= self._longest:
                    raise EndlessEpisodeError.after(steps[slot], "an episode had not ended")
                left.append(slot)
            running = left
        return returns

    def _begun(self, model: Any, env: Any, agent: int, episode: int) -> Any:
        """The first observation of an episode, as Stable-Baselines3 seeds the environments of a VecEnv."""
        config = self.configs[agent // model.n_agents]
        return env.reset(seed=config.evaluation_seed + episode)[0]


def _answers(policy: Any, observations: list[Any]) -> np.ndarray:
    """What every agent does, deterministically, in its equal share of the rows, which come agent by agent."""
    first = observations[0]
    keys = first if isinstance(first, dict) else None
    stacked: Any = (
        np.stack(observations) if keys is None else {k: np.stack([one[k] for one in observations]) for k in keys}
    )
    policy.in_blocks = True
    try:
        return np.asarray(policy.predict(stacked, deterministic=True)[0])
    finally:
        policy.in_blocks = False


class TeamRecorder(Recorder):
    """One team's :class:`Recorder`; a team that has ended alone is a run that failed."""

    model: Any
    eval_env: Evaluations

    def __init__(self, team: int, n_teams: int, log: TeamLog, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self.team, self.n_teams, self.log = team, n_teams, log
        self.first_agent = team * self.config.team_size
        self.ended = False
        self.status.interval *= n_teams  # each waits for the disk: all of them as often as one run

    def _on_training_start(self) -> None:
        super()._on_training_start()
        self._see_end()

    def _on_step(self) -> bool:
        return self._see_end() or super()._on_step()

    def _on_training_end(self) -> None:
        if not self._see_end():
            super()._on_training_end()

    def _see_end(self) -> bool:
        """Whether the team has ended, which is written once."""
        if self.team in self.model.ended and not self.ended:
            size = self.config.team_size  # the message counts agents and steps of all teams
            why = re.sub(r"agent (\d+)", lambda found: f"agent {int(found[1]) % size}", self.model.ended[self.team])
            why = re.sub(r"at step (\d+)", lambda found: f"at step {int(found[1]) // self.n_teams}", why)
            self.fail(f"{why}. The other seeds of its stack went on.")
        return self.ended

    def fail(self, why: str) -> None:
        """This run ends here."""
        self.ended = self.log.ended = True
        self.status.failed(NonFiniteError(why))
        say(self.display, f"{self.writer.identity.run}: NonFiniteError: {why}")

    def _evaluate(self) -> None:
        if self.team not in self.model.ended:
            super()._evaluate()

    def _play(self) -> list[np.ndarray]:
        return self.eval_env.of(self.model, self.team)

    def _record(self, clock: Clock, episodes: list[np.ndarray]) -> None:
        try:
            super()._record(clock, episodes)
        except NonFiniteError as error:
            ending.end(self.model, [self.first_agent], error)
            self._see_end()

    def _log(self) -> Iterator[tuple[str, Any]]:
        for key, value in self.logger.name_to_value.items():
            name = of_team(key, self.team, self.config.team_size == 1)
            if name is not None:
                yield name, value
