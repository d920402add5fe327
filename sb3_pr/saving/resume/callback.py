"""``CheckpointCallback``: SB3's by name, with everything that a run goes on from and without pickle."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

from stable_baselines3.common.callbacks import BaseCallback

from marl_pr_common.checkpoint import StopRequest
from marl_pr_common.reciprocity.guards import NonFiniteError
from sb3_pr.saving.resume.checkpoint import save_checkpoint

LOGGER = logging.getLogger("marl_pr")


class CheckpointCallback(BaseCallback):
    """Save a checkpoint every ``save_freq`` calls of ``env.step()`` (for a group: steps of each agent), and at the end.

    Continue with :func:`sb3_pr.load_checkpoint`. Unlike SB3's callback of this name it keeps everything -- replay,
    environments, generators, logs -- and the newest ``keep`` checkpoints only. It waits for the end of a rollout and
    the updates after it, so that nothing is half done.

    :param save_freq: calls of ``env.step()`` between two checkpoints; 0 saves at the end only
    :param save_path: directory of the checkpoints
    :param keep: newest checkpoints that stay
    :param stop: what :func:`marl_pr_common.checkpoint.catch_signals` yields: when it is set, save once and end
    :param advice: said then: how to resume
    :param at_end: whether to save when training ends
    """

    def __init__(
        self,
        save_freq: int,
        save_path: str | Path,
        keep: int = 2,
        verbose: int = 0,
        stop: StopRequest | None = None,
        advice: str = "",
        at_end: bool = True,
    ) -> None:
        super().__init__(verbose)
        if save_freq < 0 or keep < 1:
            raise ValueError(f"save_freq={save_freq!r}, keep={keep!r}: expected save_freq >= 0 and keep >= 1.")
        self.save_freq = save_freq
        self.save_path = Path(save_path)
        self.keep = keep
        self.stop = stop
        self.advice = advice or "load_checkpoint() continues from it"
        self.at_end = at_end
        self.last_save = 0

    def state_dict(self) -> dict[str, Any]:
        """Counters, for a checkpoint."""
        return {"n_calls": self.n_calls, "last_save": self.n_calls}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on counting."""
        self.n_calls, self.last_save = state["n_calls"], state["last_save"]

    def _on_rollout_start(self) -> None:
        """Between two rollouts everything is at rest: the last transition is stored, the updates are done."""
        if self.stop:
            text = f"{self.stop.name} after {self.num_timesteps} steps. {self._save()}; {self.advice}."
            self.stop.finish(text)
        if self.save_freq > 0 and self.n_calls - self.last_save >= self.save_freq:
            self._save()

    def _on_step(self) -> bool:
        return True

    def _on_training_end(self) -> None:
        if self.at_end and self.n_calls > self.last_save:
            self._save()

    def _save(self) -> str:
        """Save; what to tell about it. A broken model or a full disk leaves the last good checkpoint in place, and the
        next attempt is after another ``save_freq``."""
        self.last_save = self.n_calls
        try:
            path = save_checkpoint(self.model, self.save_path, self.locals.get("callback"), self.keep)
        except (NonFiniteError, OSError) as error:
            LOGGER.warning("%s", error)
            return str(error).rstrip(".")
        if self.verbose:
            LOGGER.info("Checkpoint %s", path)
        return f"Saved {path}"
