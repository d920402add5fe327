"""Where a step of stacked agents goes: CPU time by part, without what a part calls of another part.

    OMP_NUM_THREADS=1 python benchmarks/profile_update.py                                          # 30 seeds
    OMP_NUM_THREADS=1 python benchmarks/profile_update.py --n-agents 3 --n-teams 1 --net 256 256 --batch-size 256 \\
        --estimator one_voice

A clock runs at the borders of the parts only, about 100 times a step, so that it costs next to nothing; the medians of
``--rounds`` pieces of 100 steps of all agents. Matrix products count as such, wherever they are; the last line says how
long the same products take one after the other with nothing between them.
"""

from __future__ import annotations

import argparse
import functools
import statistics
import time
from collections import Counter
from collections.abc import Callable
from typing import Any

import torch as th
from sb3_speed import products
from stable_baselines3.td3 import td3

from sb3_pr import TD3PR

STEPS = 100


class Parts:
    """Exclusive CPU seconds of named calls."""

    def __init__(self) -> None:
        self.seconds: Counter[str] = Counter()
        self._open: list[str] = []
        self._since = time.process_time()

    def _turn(self) -> None:
        now = time.process_time()
        self.seconds[self._open[-1] if self._open else "everything else"] += now - self._since
        self._since = now

    def timed(self, part: str, call: Callable[..., Any]) -> Callable[..., Any]:
        """The same call, whose time counts as a part's."""

        @functools.wraps(call)
        def inner(*args: Any, **kwargs: Any) -> Any:
            self._turn()
            self._open.append(part)
            try:
                return call(*args, **kwargs)
            finally:
                self._turn()
                self._open.pop()

        return inner

    def restart(self) -> None:
        """From here on."""
        self.seconds.clear()
        self._since = time.process_time()

    def read(self) -> Counter[str]:
        """Up to here."""
        self._turn()
        return Counter(self.seconds)


def watch(model: Any) -> Parts:
    """Put the clock at the borders of a model's parts."""
    parts = Parts()
    model.env.step = parts.timed("environments", model.env.step)
    model._sample_action = parts.timed("acting", model._sample_action)
    model._store_transition = parts.timed("storing the step", model._store_transition)
    buffer = type(model.replay_buffer)  # what is set on a buffer itself ends its fast way
    buffer.sample = parts.timed("sampling", buffer.sample)  # type: ignore[method-assign]
    for name in ("actor", "actor_target", "critic"):
        network = getattr(model.policy, name)
        network.forward = parts.timed(f"forward: {name.replace('_', ' ')}", network.forward)
    target = type(model.critic_target)
    target.__call__ = parts.timed("forward: target critics, mixture", target.__call__)  # type: ignore[method-assign]
    th.Tensor.backward = parts.timed("backward", th.Tensor.backward)  # type: ignore[method-assign]
    for network in (model.policy.actor, model.policy.critic):
        network.optimizer.step = parts.timed("Adam, finite gradients", network.optimizer.step)
        network.optimizer.zero_grad = parts.timed("clearing gradients", network.optimizer.zero_grad)
    td3.polyak_update = parts.timed("Polyak", td3.polyak_update)
    model.train = parts.timed("train(), losses, noise, logs", model.train)
    for name in ("bmm", "mv"):
        setattr(th, name, parts.timed("matrix products", getattr(th, name)))
    return parts


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--env", default="HalfCheetah-v5")
    parser.add_argument("--n-agents", type=int, default=1)
    parser.add_argument("--n-teams", type=int, default=30, help="stacked teams of --n-agents")
    parser.add_argument("--net", type=int, nargs="+", default=[64, 64])
    parser.add_argument("--batch-size", type=int, default=64)
    parser.add_argument("--estimator", help="of PR; without it kappa is 0")
    parser.add_argument("--rounds", type=int, default=5)
    args = parser.parse_args()
    th.set_num_threads(1)
    n = args.n_agents * args.n_teams
    model = TD3PR(
        "MlpPolicy",
        args.env,
        n_agents=args.n_agents,
        n_teams=args.n_teams,
        policy_kwargs={"net_arch": args.net},
        batch_size=args.batch_size,
        learning_starts=100 * n,
        buffer_size=20_000 * n,
        device="cpu",
        seed=0,
        **({"estimator": args.estimator} if args.estimator else {"kappa": 0.0}),
    )
    model.learn(200 * n)
    parts, seen = watch(model), []
    for _ in range(args.rounds):
        parts.restart()
        model.learn(STEPS * n, reset_num_timesteps=False)
        seen.append(parts.read())
    once = products(model)
    found = {part: statistics.median(one[part] for one in seen) / STEPS * 1e3 for part in sorted(set().union(*seen))}
    total = sum(found.values())
    what = f"estimator={args.estimator}" if args.estimator else "kappa=0"
    alone = statistics.median(once() for _ in range(args.rounds)) * 1e3
    print(f"{n} agents, {what}, nets {args.net}, batches of {args.batch_size}: {total:.1f} ms of CPU a step of all\n")
    print("| part | ms | % |\n| --- | --- | --- |")
    for part, ms in sorted(found.items(), key=lambda item: -item[1]):
        print(f"| {part} | {ms:.2f} | {100 * ms / total:.0f} |")
    print(f"\nThe matrix products of one update, alone: {alone:.1f} ms.")


if __name__ == "__main__":
    main()
