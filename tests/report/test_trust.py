"""The picture of trust: the last weights of both hosts' rows, mean over seeds; none where nothing is known."""

import numpy as np
import pandas as pd
import pytest

from marl_pr_common.report import figures as plots
from marl_pr_common.report.build import build
from marl_pr_common.report.context import ReportContext
from marl_pr_common.report.trust import last_weights
from marl_pr_common.runs.table import TEAM
from tests.report.tables import study

WEIGHTS = {0: [[0.9, 0.1], [0.3, 0.7]], 1: [[0.5, 0.5], [0.1, 0.9]]}
"""Of the last update of each seed."""


def of_agents(i, j):
    return {"agent": i, "metric": f"train/trust_{j}"}


def of_team(i, j):
    return {"agent": TEAM, "metric": f"train/pr_trust_{i}_{j}"}


def trusting(name):
    """A study of two seeds whose arm td3_pr logs its trust as a host does."""
    results = study(2, {"td3": 1.0, "td3_pr": 2.0}, tasks=("Pendulum-v1",))
    row = results[(results["arm"] == "td3_pr") & (results["agent"] == 0)]
    found = [
        {
            **values,
            **name(i, j),
            "value": WEIGHTS[values["seed"]][i][j] if values["env_steps_per_agent"] == 300 else 0.5,
        }
        for values in row.to_dict("records")
        for i, j in np.ndindex(2, 2)
        if values["env_steps_per_agent"] > 0
    ]
    others = {**row.iloc[-1].to_dict(), "metric": "train/trust", "value": 9.0, "agent": TEAM}
    return pd.concat([results, pd.DataFrame(found[::-1]), pd.DataFrame([others])], ignore_index=True)


@pytest.mark.parametrize("name", [of_agents, of_team])
def test_the_last_weights_are_shown(name):
    ((task, arms),) = last_weights(trusting(name)).items()
    assert task == "Pendulum-v1"
    assert list(arms) == ["td3_pr"]
    np.testing.assert_allclose(arms["td3_pr"], np.mean(list(WEIGHTS.values()), 0))
    document = build(trusting(name), ReportContext())
    (drawing,) = [drawing for drawing in document.drawings if drawing.name == "trust"]
    axes = drawing.figure.axes[0]
    assert [text.get_text() for text in axes.texts] == ["0.70", "0.30", "0.20", "0.80"]
    assert "td3_pr" in axes.get_title(loc="left")


def test_there_is_no_picture_without_trust():
    assert "trust" not in {drawing.name for drawing in build(study(2), ReportContext()).drawings}


def test_a_pair_of_which_nothing_is_known_has_no_cell():
    figure = plots.trust_plot({"a": np.array([[0.2, np.nan], [0.0, 1.0]])}, "title")
    (axes,) = figure.axes
    assert {(text.get_position(), text.get_text()) for text in axes.texts} == {
        ((0.5, 0.5), "0.20"),
        ((0.5, 1.5), "0.00"),
        ((1.5, 1.5), "1.00"),
    }
    assert axes.get_ylim() == (2, 0)  # agent 0 on top
