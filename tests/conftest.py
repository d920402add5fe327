"""What the whole suite shares: one thread, tables in the results schema, settings of a run that ends in a second."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import hypothesis
import pandas as pd
import pytest
import torch as th

from tests.rows import n_agents, row

if TYPE_CHECKING:
    from sb3_pr.study.config import TrainConfig

hypothesis.settings.register_profile(
    "any machine", deadline=None, max_examples=50, suppress_health_check=[hypothesis.HealthCheck.too_slow]
)
hypothesis.settings.load_profile("any machine")


@pytest.fixture(autouse=True, scope="session")
def _one_thread() -> None:
    """Bit-identity between runs needs one thread, and CI has two cores for two workers."""
    th.set_num_threads(1)


Curve = Callable[[str, int, int, int], float]


@pytest.fixture
def make_results() -> Callable[..., pd.DataFrame]:
    """``make_results(curve, n_seeds)``: a table from ``curve(arm, seed, agent, steps)``; td3 is 1 agent, others 3."""

    def make(
        curve: Curve,
        n_seeds: int = 5,
        arms: Iterable[str] = ("td3", "td3_pr"),
        steps: Iterable[int] = (0, 100, 200),
    ) -> pd.DataFrame:
        return pd.DataFrame(
            row(arm, seed, agent, step, curve(arm, seed, agent, step)) | {"run": f"{arm}-seed{seed}"}
            for arm in arms
            for seed in range(n_seeds)
            for step in list(steps)
            for agent in range(n_agents(arm))
        )

    return make


@pytest.fixture
def in_process(monkeypatch: pytest.MonkeyPatch) -> None:
    """Studies without processes and pictures, seconds sooner: for tests of what becomes of their cells.

    Cells run here, and other files stand where a report's pictures would.
    """
    from marl_pr_common.runs.files import write_text
    from marl_pr_common.study import cell, schedulers
    from marl_pr_common.study.processes import Ended

    def save_figure(figure: object, stem: Path, dpi: int) -> tuple[Path, Path]:
        png, svg = (stem.with_name(f"{stem.name}.{kind}") for kind in ("png", "svg"))
        write_text(png, "a picture")
        write_text(svg, "<svg/>")
        return png, svg

    def run_cells(
        engine: str, directories: Iterable[str], jobs: int, folder: Path, shared: Collection[str] = ()
    ) -> Iterator[Ended]:
        for directory in directories:
            cell.run(Path(directory))
            yield Ended(directory, "done", 1.0)

    monkeypatch.setattr(schedulers, "run_cells", run_cells)
    monkeypatch.setattr("marl_pr_common.report.build.save_figure", save_figure)


@pytest.fixture
def tiny() -> TrainConfig:
    """Settings of a run that ends in a second."""
    from sb3_pr.study.config import TrainConfig

    return TrainConfig(
        env="Pendulum-v1",
        timesteps_per_agent=120,
        learning_starts=40,
        buffer_size=500,
        batch_size=16,
        net_arch=(8, 8),
        eval_every=50,
        eval_episodes=1,
        device="cpu",
    )


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """``few(n)``: of a test's parameter sets n run each time; the others are slow."""
    products: dict[tuple[str, str], list[pytest.Item]] = {}
    for item in items:
        if item.get_closest_marker("few") and not item.get_closest_marker("slow"):
            products.setdefault((str(item.path), item.originalname), []).append(item)  # type: ignore[attr-defined]
    for product in products.values():
        chosen = _covering(product, product[0].get_closest_marker("few").args[0])  # type: ignore[union-attr]
        for item in product:
            if item not in chosen:
                item.add_marker(pytest.mark.slow)


def _covering(product: list[pytest.Item], n: int) -> list[pytest.Item]:
    """Spread over the list, and such that as many values of every parameter as can be have a part."""
    spread = [product[place * len(product) // n] for place in range(min(n, len(product)))]
    left, chosen, seen = [*spread, *(item for item in product if item not in spread)], [], set()
    for _ in spread:
        best = max(left, key=lambda item: len(_values(item) - seen))
        left.remove(best)
        chosen.append(best)
        seen |= _values(best)
    return chosen


def _values(item: pytest.Item) -> set[tuple[str, int]]:
    return set(item.callspec.indices.items())  # type: ignore[attr-defined]
