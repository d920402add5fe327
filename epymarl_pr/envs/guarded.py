"""EPyMARL's environments as its runners make them, with one message for what upstream is silent about or dies of.

The runner makes them, where and as often as upstream's does; here they are looked at as they are made and used.

    can't be made, or raises later     its last words, and where they were said
    spaces that EPyMARL can't act in   refused, also where upstream would send something else in silence
    values that EPyMARL can't store    refused; what can't be summed in ``info`` is left out of the logs, and told
    ``close()`` that raises            a warning: the run is over
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Mapping, Sized
from dataclasses import dataclass
from typing import Any

import numpy as np

from epymarl_pr.envs.spaces import is_gymma, observations_missing, state_of_another_size, unfit
from epymarl_pr.envs.teams import competing, unshareable
from epymarl_pr.launch import last_words
from epymarl_pr.launch.errors import Ended, UsageError, refused
from marl_pr_common.reciprocity.stand_in import Delegate

_log = logging.getLogger("epymarl_pr")


@dataclass(frozen=True)
class Uses:
    """What a run does with its environments.

    render: whether they are drawn while the team is evaluated
    all_are_peers: whether every agent listens to every other one, whatever team it plays in
    share_experience: whether every agent learns from every other one's rows
    """

    render: bool = False
    all_are_peers: bool = False
    share_experience: bool = False


class GuardedFactory:
    """Stands in for an entry of EPyMARL's ``envs.REGISTRY``. Picklable, as workers need it.

    :param make: the registered function
    :param uses: what the run does with them
    """

    def __init__(self, make: Callable[..., Any], uses: Uses):
        self.make = make
        self.uses = uses

    def __call__(self, **arguments: Any) -> GuardedEnv:
        """:raises SacredError: naming the environment and the reason, if it can't be made or EPyMARL can't act in it"""
        what = last_words.named(arguments)
        if self.uses.render and str(arguments.get("key")).startswith("pz-"):
            arguments.setdefault("render_mode", "human")  # of PettingZoo, which draws nothing without
        try:
            env = self.make(**arguments)
        except (Ended, KeyboardInterrupt):
            raise
        except BaseException as error:  # whatever a third party's environment raises
            raise refused(last_words.not_made(what, arguments, error)) from error
        problem = unfit(env) or (competing(env) if self.uses.all_are_peers else "")
        problem = problem or (unshareable(env) if self.uses.share_experience else "")
        if problem:
            raise refused(f"{what}: {problem}")
        return GuardedEnv(env, what, bool(arguments.get("common_reward", True)))


class GuardedEnv(Delegate):
    """One of EPyMARL's ``MultiAgentEnv``, whose failures and odd answers are one message.

    :param env: EPyMARL's
    :param what: how messages name it, such as "env_args.key=Foo-v0"
    :param common_reward: one reward for the team, or one for each agent
    """

    def __init__(self, env: Any, what: str, common_reward: bool):
        super().__init__(env)
        self._what = what
        self._common = common_reward
        self._gymma = is_gymma(env)
        self._unseen = {"get_obs": observations_missing, "get_state": state_of_another_size}
        self._shapes: dict[str, tuple[int, ...]] = {}
        self._left_out: set[Any] = set()
        self._said: tuple[Any, Any, Any] | None = None
        if self._gymma:
            self._listen(env._env)

    def _listen(self, inner: Any) -> None:
        """Keep what a gymnasium environment says: EPyMARL's wrapper adds up rewards, and takes ``all`` of ends, of
        whatever they are, so that afterwards a sum of keys looks like a reward."""
        step = inner.step

        def kept(actions: Any) -> Any:
            answer = step(actions)
            if isinstance(answer, tuple) and len(answer) == 5:
                self._said = answer[1:4]
            return answer

        inner.step = kept

    def reset(self, *arguments: Any, **named: Any) -> Any:
        """The environment's. Runners ignore what it gives; PyMARL's own give (observations, state)."""
        answer = self._ask("reset", *arguments, **named)
        if self._gymma and isinstance(answer, tuple) and len(answer) == 2 and not isinstance(answer[1], Mapping):
            raise self._refusal(
                f"reset() gave {type(answer[1]).__name__} where info, a dict, is expected. Return "
                "(observations, info), as gymnasium's environments do."
            )
        return answer

    def step(self, actions: Any) -> tuple[Any, Any, Any, Any, Mapping[str, Any]]:
        """The environment's, as EPyMARL can store it."""
        observations, reward, terminated, truncated, info = self._ask("step", actions)
        if self._gymma and (missing := observations_missing(self.wrapped, observations)):
            raise self._refusal(f"step() gave {missing}")
        said, self._said = self._said or (reward, terminated, truncated), None
        self._check_reward(said[0], reward)
        for name, value in zip(("terminated", "truncated"), said[1:], strict=True):
            if not _is_end(value):
                raise self._refusal(
                    f"step() gave {name}={value!r}: expected True or False, or a list of one per agent."
                )
        truncated = bool(np.all(truncated))  # as EPyMARL does with `terminated`; a list would end the episode at once
        if not isinstance(info, Mapping):
            raise self._refusal(f"step() gave info={info!r}: expected a dict.")
        if terminated or truncated:
            info = self._summed(info)
        return observations, reward, terminated, truncated, info

    def get_state(self) -> Any:
        """The environment's; the first one is compared with the size that it said."""
        return self._first("get_state")

    def get_obs(self) -> Any:
        """The environment's; the first ones are counted."""
        return self._first("get_obs")

    def get_avail_actions(self) -> Any:
        """The environment's."""
        return self._ask("get_avail_actions")

    def get_env_info(self) -> Any:
        """The environment's."""
        return self._ask("get_env_info")

    def render(self) -> None:
        """Draw. EPyMARL's wrapper of PettingZoo hands on an argument that PettingZoo no longer takes."""
        inner = pettingzoo(self.wrapped)
        draw = self.wrapped if inner is None else inner
        self._ask("render", of=draw)

    def close(self) -> None:
        """The environment's. The run is over, so that a failure is no more than a warning."""
        try:
            self.wrapped.close()
        except Exception as error:
            _log.warning(f"{last_words.raised(self._what, 'close', error)} The run had ended before.")

    def _first(self, method: str) -> Any:
        """Ask, and look at the first answer: not at one of our own, since asking may draw random numbers."""
        answer = self._ask(method)
        look = self._unseen.pop(method, None)
        if look is not None and (problem := look(self.wrapped, answer)):
            raise self._refusal(f"{method}() gave {problem}" if method == "get_obs" else problem)
        return answer

    def _ask(self, method: str, *arguments: Any, of: Any = None, **named: Any) -> Any:
        try:
            return getattr(self.wrapped if of is None else of, method)(*arguments, **named)
        except (Ended, KeyboardInterrupt):
            raise
        except UsageError as error:
            raise refused(str(error)) from error
        except BaseException as error:  # a panic of a simulator in Rust is no Exception
            raise refused(last_words.raised(self._what, method, error)) from error

    def _check_reward(self, said: Any, reward: Any) -> None:
        """:param said: as the environment gave it; reward: as EPyMARL's wrapper hands it on"""
        many, n_agents = isinstance(said, Iterable), self.wrapped.n_agents
        if not many and not self._common:
            raise self._refusal(
                f"common_reward=False, but step() gave one reward for the team, {said!r}: expected one per agent. "
                "Use common_reward=True."
            )
        counted = isinstance(said, Sized) and getattr(said, "ndim", None) != 0  # an array of no dimension is a number
        if isinstance(said, Mapping) or (counted and len(said) not in ({1, n_agents} if self._common else {n_agents})):
            raise self._refusal(f"step() gave reward={said!r}: expected {n_agents}, one per agent, in a list.")
        if not all(map(_is_number, [reward] if self._common else reward)):
            raise self._refusal(f"step() gave reward={said!r}: expected a number, or one per agent.")

    def _summed(self, info: Mapping[str, Any]) -> Mapping[str, Any]:
        """What EPyMARL can add up over episodes and log."""
        others = [key for key, value in info.items() if not self._can_be_summed(key, value)]
        for key in others:
            if key not in self._left_out:
                self._left_out.add(key)
                _log.warning(
                    f"{self._what}: info[{key!r}] is {type(info[key]).__name__}, which can't be summed over episodes: "
                    "left out of the logs."
                )
        return {key: value for key, value in info.items() if key not in others} if others else info

    def _can_be_summed(self, key: Any, value: Any) -> bool:
        if not isinstance(key, str):
            return False
        try:
            shape: tuple[int, ...] = np.shape(0 + value)
        except Exception:  # text, None, a dict: whatever an addition makes of it
            return False
        return bool(self._shapes.setdefault(key, shape) == shape)

    def _refusal(self, text: str) -> Exception:
        return refused(f"{self._what}: {text}")


def _is_number(value: Any) -> bool:
    if value is None or isinstance(value, (str, bytes)):  # NumPy would read both
        return False
    try:
        return np.asarray(value, dtype=np.float64).size == 1
    except (TypeError, ValueError):
        return False


def _is_end(value: Any) -> bool:
    """Whether it is True or False, however written, or a list of these; NaN and text would be True."""
    if isinstance(value, (bool, np.bool_)):
        return True
    if value is None or isinstance(value, (str, bytes, Mapping)):
        return False
    if isinstance(value, (list, tuple)) or (isinstance(value, np.ndarray) and value.ndim):
        return all(map(_is_end, value))
    return bool(np.ndim(value) == 0 and value in (0, 1))


def pettingzoo(env: Any) -> Any | None:
    """The PettingZoo environment inside EPyMARL's wrappers; None if there is none."""
    inner: Any = getattr(getattr(env, "_env", None), "unwrapped", None)
    return inner._env if type(inner).__name__ == "PettingZooWrapper" else None
