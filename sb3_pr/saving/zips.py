"""Saving and loading in SB3's own formats, for interchange: zip files and pickled replay buffers.

Both hold pickles, which can run code. They are loaded only if every class in them is one that SB3 and this package
write; for a file with others, which may be harmless, the caller says ``trust=True``. Checkpoints
(:mod:`sb3_pr.saving.resume`) hold data only.
"""

from __future__ import annotations

import dataclasses
import pickle
from collections.abc import Iterable, Mapping
from contextlib import nullcontext
from typing import Any

from stable_baselines3.common.save_util import load_from_zip_file

from marl_pr_common.checkpoint.payload import from_plain, to_plain
from marl_pr_common.config import from_mapping
from marl_pr_common.reciprocity import Reciprocity, ReciprocityConfig
from marl_pr_common.reciprocity.teams import Teams
from sb3_pr import checks
from sb3_pr.consensus import Consensus
from sb3_pr.envs.columns import is_factory
from sb3_pr.fast import store_float32
from sb3_pr.networks.joining import group_of
from sb3_pr.replay.buffers import as_agent_major
from sb3_pr.saving.loading import gather, require_same_agents
from sb3_pr.saving.pickles import UntrustedFileError, handed, read_pickle, read_zip
from sb3_pr.stacked_teams import StackedTeams

GIVEN = "_given_env"
"""Attribute of a model that is being loaded: ``env`` and ``force_reset`` of ``load``. SB3 would make a model of the
environment first, which then has as many agents as columns, and read the file's number, if there is one, later."""


def _like(state: Mapping[str, Any], config: ReciprocityConfig) -> Reciprocity:
    """Reciprocity of as many agents and teams as are in a saved state."""
    if "teams" not in state:
        return Reciprocity(config, len(state["peer_weights"]))
    return Teams(config, len(state["teams"][0]["peer_weights"]), [None] * len(state["teams"]))


class Persistence(StackedTeams):
    """Mixin of ``MultiAgent``: what differs from SB3 when files are written and read."""

    pr: ReciprocityConfig
    reciprocity: Reciprocity
    shared_replay: bool
    fast: bool
    averaging: Consensus

    @classmethod
    def from_agents(cls, agents: Any, env: Any = None, n_agents: int | None = None, **options: Any) -> Any:
        """A group of upstream models that goes on where they are; the inverse of ``model.agent(i)``.

        Networks, targets and optimisers are the agents', bit for bit, and so are their hyperparameters;
        ``buffer_size`` and ``learning_starts`` are n_agents times theirs, ``num_timesteps`` is their sum. The group's
        replay buffer is empty, whatever is in theirs; PR's own state and episode statistics begin anew, and hooks on
        the agents' networks stay behind. Go on with ``learn(..., reset_num_timesteps=False)``.

        :param agents: upstream models of one architecture and with equal settings, or one
        :param env: as for the constructor; None if the group is not to learn yet, see ``set_env``
        :param n_agents: copies of one model; None: as many agents as models
        :param options: PR's options (``kappa``, ...), and parameters of SB3 that replace the agents'
        :raises ValueError: for no models, models of another class, or models that differ in what a group shares
        """
        group = group_of(cls, agents, env, n_agents, options)
        group.averaging.new = True
        group.averaging.warn_if_unlike(group)
        return group

    @classmethod
    def load(
        cls,
        path: Any,
        env: Any = None,
        *args: Any,
        trust: bool | str = False,
        pr_trust: str | None = None,
        **kwargs: Any,
    ) -> Any:
        """SB3's ``load``. Keyword arguments may also be options of PR: ``load(path, kappa=0.2)``; so may entries of
        ``custom_objects``. The number of agents is the file's.

        :param env: as in SB3; an id, or a function that makes an environment, gives every agent a column
        :param trust: load the file even if it holds other classes than SB3 and this package write (your own policy
            class, a schedule that is a lambda). Such a file can run any code: only for files that you made. A string is
            PR's option of that name instead ("uniform", "td"), and trusts nothing
        :param pr_trust: PR's option ``trust``, beside which ``trust=True`` may be given
        :raises UnknownOption: for a keyword that is only nearly one
        :raises UntrustedFileError: if the file could run code and ``trust`` is False; nothing of it is executed
        :raises ValueError: for another number of agents, or PR's trust given twice
        """
        kwargs |= dict(zip(("device", "custom_objects", "print_system_info", "force_reset"), args, strict=False))
        trust = gather(kwargs, trust, pr_trust, cls.upstream)  # type: ignore[attr-defined]
        numbers = {name: kwargs.pop(name) for name in ("n_agents", "n_teams") if name in kwargs}
        if kwargs.pop("seeds", None) is not None:
            raise ValueError("seeds: load keeps the file's. For other ones: set_random_seed(first), or a new model.")
        source = path
        if env is not None:
            kwargs[GIVEN] = env, kwargs.get("force_reset", True)
        if not trust:
            replaced = kwargs.get("custom_objects") or {}
            source, read = read_zip(path, replaced.keys())
            kwargs["custom_objects"] = {**read, **replaced}
        try:
            model: Any = super().load(source, None, **kwargs)
        except pickle.UnpicklingError as error:  # torch's reader of weights, which knows tensors only
            raise UntrustedFileError(f"{path} was not loaded: its weights are not plain tensors: {error}") from error
        for name, number in numbers.items():
            if number not in (None, getattr(model, name)):
                what = f"{getattr(model, name)} {'agent' if name == 'n_agents' else 'team'}(s)"
                raise ValueError(
                    f"{name}={number}, but {path} holds {what}, and load keeps their number. {checks.OTHER_NUMBER}"
                )
        model.averaging.warn_if_unlike(model)
        return model

    def set_parameters(self, load_path_or_dict: Any, exact_match: bool = True, device: Any = "auto") -> None:
        """SB3's.

        :raises OtherAgents: if they are of another number of agents than the model's; nothing of them is taken
        """
        given = load_path_or_dict
        if not isinstance(given, dict):
            _, given, _ = load_from_zip_file(given, device=device, load_data=False)
        require_same_agents(self, given)
        super().set_parameters(given, exact_match, device)

    def save(self, path: Any, exclude: Iterable[str] | None = None, include: Iterable[str] | None = None) -> None:
        """SB3's ``save``. Options and state of PR stand in the file as plain data, not as objects of this package."""
        kept: dict[str, Any] = {name: vars(self)[name] for name in ("pr", "reciprocity") if name in vars(self)}
        try:
            self.pr = dataclasses.asdict(self.pr)  # type: ignore[assignment]
            if "reciprocity" in kept:
                self.reciprocity = to_plain(self.reciprocity.state_dict())  # type: ignore[assignment]
            super().save(path, exclude, include)
        finally:
            vars(self).update(kept)

    def _restore(self) -> None:
        """Make objects of what the file holds, files of version 0.1.0 have them, and take ``env`` of ``load``."""
        if GIVEN in vars(self):
            env, force_reset = vars(self).pop(GIVEN)
            if not (isinstance(env, str) or is_factory(env)):  # of these as many columns are made as there were
                env = self._wrap_env(env, self.verbose)
                self.n_envs = env.num_envs
            self.set_env(env, force_reset)
        if not isinstance(self.pr, (Mapping, ReciprocityConfig)):
            raise ValueError(f"the saved options of reciprocity are damaged: {self.pr!r}")
        if isinstance(self.pr, Mapping):
            self.pr = from_mapping(ReciprocityConfig, self.pr, "saved options")
        if isinstance(vars(self).get("reciprocity"), Mapping):
            state = from_plain(self.reciprocity)
            try:
                self.reciprocity = _like(state, self.pr)
                self.reciprocity.load_state_dict(state)
            except (KeyError, TypeError, AttributeError) as error:
                raise ValueError(f"the saved state of reciprocity is damaged: {error!r}") from error

    def load_replay_buffer(self, path: Any, truncate_last_traj: bool = True, trust: bool = False) -> None:
        """SB3's, which reads a pickle.

        :param trust: see :meth:`load`
        :raises UntrustedFileError: if the file could run code and ``trust`` is False; nothing of it is executed
        :raises ValueError: if it is of another class, or of other spaces or another number of environments than the
            model's: the model keeps the buffer that it has
        """
        before = getattr(self, "replay_buffer", None)  # some delete it first
        try:
            with nullcontext(path) if trust else handed(read_pickle(path)) as file:
                super().load_replay_buffer(file, truncate_last_traj)
            checks.replay_buffer(self.replay_buffer, before, self)
        except (AssertionError, AttributeError, ValueError) as error:
            self.replay_buffer = before
            if isinstance(error, UntrustedFileError):
                raise
            raise ValueError(f"{path} was not loaded: {error}") from error
        if self.n_columns > 1:
            self._take_columns()

    def _take_columns(self) -> None:
        """Let every agent draw from its own column of the replay buffer."""
        assert self.replay_buffer is not None
        self.replay_buffer = as_agent_major(self.replay_buffer, self.shared_replay, self.streams)
        if self.fast:
            store_float32(self.replay_buffer)

    def _excluded_save_params(self) -> list[str]:
        return [*super()._excluded_save_params(), "peer_critics", "watch", "averaging", "streams", "_resumed"]

    def _get_torch_save_params(self) -> tuple[list[str], list[str]]:
        state_dicts, variables = super()._get_torch_save_params()
        if getattr(self, "peer_critics", None) is not None:
            state_dicts = [*state_dicts, "peer_critics"]
        return state_dicts, variables
