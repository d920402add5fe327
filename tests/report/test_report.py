"""A report says what its numbers carry, refuses what cannot be compared, and is complete in itself."""

from __future__ import annotations

import itertools
import re
import xml.etree.ElementTree as ElementTree
from dataclasses import replace

import html5lib
import numpy as np
import pandas as pd
import pytest

from marl_pr_common.report import ReportContext, write_report
from marl_pr_common.report.build import build
from marl_pr_common.report.measure import measure
from marl_pr_common.report.render import to_html, to_markdown
from marl_pr_common.report.scoring import estimates
from marl_pr_common.report.sharing import equal_budgets
from marl_pr_common.results.comparable import NotComparableError
from marl_pr_common.results.stats import aggregate, iqm, mean, paired_difference
from tests.report.tables import LABELS, study

RANKING = re.compile(r"\b(better|worse|higher|lower|beats|outperform\w*|faster|slower)\b")
FIGURES = {
    *("learning_curves", "intervals", "probability_of_improvement", "performance_profiles"),
    *("sweep_kappa", "steps_to_threshold", "return_against_time"),
}
FULL = ReportContext(
    title="Does reciprocity help?",
    description="First paragraph.\n\nSecond <b>paragraph</b>.",
    settings={"td3": {"kappa": 0.0}, "td3_pr": {"kappa": 0.5}},
    failed=[("td3_pr-seed99", "logs/td3_pr-seed99.log")],
    missing=["td3-seed98"],
    notes=["A note with <script>alert(1)</script>."],
    config_text="arms: [td3, td3_pr]\n",
    command="marl-pr study quick.yaml",
    provenance={"versions": {"numpy": "2.4.6"}, "git": {"commit": "abc123", "dirty": False}, "python": "3.11.7"},
    sweep={"kappa": {"td3": 0.0, "td3_pr": 0.5}},
    thresholds={"Pendulum-v1": 15.0},
    labels=LABELS,
)


def parsed(html):
    """The document as a tree without namespaces; a mistake in it is an error."""
    return html5lib.HTMLParser(strict=True, namespaceHTMLElements=False).parse(html)


def words(html):
    """All words but for the style sheet, on one line."""
    return " ".join(" ".join(parsed(html).find("body").itertext()).split())


def text_of(path):
    return words(path.read_text(encoding="utf-8"))


def said(results, context=FULL):
    """The words of a report, whose figures are drawn but not saved."""
    document = build(results, context)
    return words(to_html(document, {drawing.name: b"" for drawing in document.drawings}))


@pytest.fixture(scope="module")
def full(tmp_path_factory):
    """The directory of a report with everything in it, of ten seeds."""
    out = tmp_path_factory.mktemp("full")
    write_report(study(10), out, FULL)
    return out


def test_the_file_is_valid_and_asks_for_nothing_outside(full):
    text = (full / "report.html").read_text(encoding="utf-8")
    tree = parsed(text)
    assert tree.get("lang") == "en"
    assert not re.findall(r"""(?:src|href)=["'](?!data:|#)""", text)
    assert "url(" not in text
    assert "<script" not in text
    images = tree.findall(".//img")
    assert len(images) == len(FIGURES)
    assert all(image.get("src").startswith("data:image/svg+xml;base64,") for image in images)
    assert all(len(image.get("alt")) > 40 for image in images)
    levels = [int(item.tag[1]) for item in tree.iter() if re.fullmatch(r"h[1-6]", str(item.tag))]
    assert levels[0] == 1
    assert levels.count(1) == 1
    assert all(after <= before + 1 for before, after in itertools.pairwise(levels))
    ids = [item.get("id") for item in tree.iter() if item.get("id")]
    assert len(ids) == len(set(ids))


def test_figures_stand_beside_it(full):
    assert {path.stem for path in (full / "figures").iterdir()} == FIGURES
    for name in FIGURES:
        assert (full / "figures" / f"{name}.png").read_bytes().startswith(b"\x89PNG")
        assert ElementTree.parse(full / "figures" / f"{name}.svg").getroot().tag.endswith("svg")


def test_what_was_asked_run_and_left_out_is_said(full):
    text = text_of(full / "report.html")
    for expected in (
        *("Does reciprocity help?", "First paragraph.", "Second <b>paragraph</b>."),
        "TD3PR, 3 agents: 10 seeds; 300 env steps per agent, 900 of all its agents together",
        "td3_pr-seed99 failed; its log is logs/td3_pr-seed99.log.",
        *("td3-seed98 was not run to its end.", "A note with <script>alert(1)</script>."),
        *("marl-pr study quick.yaml", "arms: [td3, td3_pr]", "abc123", "2.4.6", "3.11.7"),
        "The arms do not have the same number of agents",
    ):
        assert expected in text
    assert text.index("What came out") < text.index("Figures") < text.index("Numbers on")


def test_numbers_are_those_of_the_statistics(full):
    results = study(10)
    final = results[(results["task"] == "Pendulum-v1") & (results["env_steps_per_agent"] == 300)]
    scores = {arm: part.groupby("seed")["value"].mean().to_numpy() for arm, part in final.groupby("arm")}
    difference = paired_difference(scores["td3_pr"], scores["td3"], np.random.default_rng(0))
    told = f"{difference.value:+.4g} ["
    text = text_of(full / "report.html")
    assert f"Pendulum-v1, final return, TD3PR, 3 agents minus TD3, 1 agent, 10 seeds: {told}" in text
    assert "higher, interval does not contain 0." in text
    assert f"{scores['td3_pr'].mean():.1f} [" in text
    assert f"| TD3PR, 3 agents | 3 | 10 | 300 | 900 | 300 | {scores['td3_pr'].mean():.1f} [" in (
        full / "summary.md"
    ).read_text(encoding="utf-8")


def test_estimates_are_those_of_the_stats_package():
    scores = np.random.default_rng(3).normal(size=11)
    found = estimates(scores, np.random.default_rng(0))
    for name, statistic in {"mean": mean, "IQM": iqm}.items():
        expected = aggregate(scores[:, None], statistic, np.random.default_rng(0))
        np.testing.assert_allclose(found[name], expected, rtol=1e-12)
    assert found["median over seeds"].value == np.median(scores)
    assert found["median over seeds"].low <= np.median(scores) <= found["median over seeds"].high


def test_equal_budgets_count_per_agent_and_in_total():
    measured = measure(study(10), FULL)
    task = measured.tasks["Pendulum-v1"]
    per_agent, total = equal_budgets(task, np.random.default_rng(0))
    assert (per_agent.budget, total.budget) == (300, 300)
    assert int(total.curves["td3_pr"].env_steps_per_agent[-1]) == 100
    assert int(total.curves["td3"].env_steps_per_agent[-1]) == 300
    np.testing.assert_allclose(total.scores["td3_pr"]["final"], task.arms["td3_pr"].data.curves[:, 1])
    assert per_agent.differences is task.differences
    gain = {budget.axis: budget.differences["td3_pr", "final"].value for budget in (per_agent, total)}
    assert gain["env_steps_per_agent"] > 20 > gain["total_env_steps"]


def test_teams_of_one_size_need_no_second_count():
    results = study(5, {"td3_pr": 10.0, "td3_independent": 10.0}, ["Pendulum-v1"])
    text = said(results, ReportContext())
    assert "All arms have 3 agents: equal steps per agent are equal steps in total." in text


@pytest.mark.parametrize("n_seeds", [4, 9])
@pytest.mark.few(1)
def test_below_ten_seeds_nothing_is_ranked(n_seeds):
    document = build(study(n_seeds), FULL)
    text, summary = words(to_html(document, dict.fromkeys(FIGURES, b""))), to_markdown(document, "figures")
    assert not RANKING.search(text)
    assert not RANKING.search(summary)
    assert "too few to rank the arms" in text
    assert "not compared" in text
    row = next(line for line in summary.splitlines() if line.startswith("| TD3PR, 3 agents | 3 |"))
    assert ("[" in row) == (n_seeds >= 5)


def test_an_arm_against_itself_shows_no_difference():
    results = study(10, {"td3_pr": 10.0}, ["Pendulum-v1"])
    twin = results.assign(arm="td3_independent", run=results["run"].str.replace("td3_pr", "td3_independent"))
    text = said(pd.concat([results, twin]), ReportContext(labels=LABELS))
    assert "final return not shown on Pendulum-v1 (0 [0, 0])" in text
    assert not RANKING.search(text)


def test_one_arm_one_run_one_evaluation():
    results = study(1, {"td3": 10.0}, ["Pendulum-v1"])
    text = said(results[results["env_steps_per_agent"] == 300], ReportContext())
    assert "One arm alone compares nothing" in text
    assert "one evaluation only" in text
    assert "Probability of improvement" not in text


def test_missing_seeds_are_named():
    results = study(6)
    lacking = (results["arm"] == "td3") & (results["seed"] == 5) & (results["task"] == "Hopper-v5")
    assert "td3 on Hopper-v5 lacks seed 5" in said(results[~lacking])


def test_what_cannot_be_compared_is_refused_and_nothing_is_written(tmp_path):
    results = study(3)
    other = results.assign(engine=results["engine"].where(results["arm"] != "td3", "stable-baselines3 2.0.0"))
    with pytest.raises(NotComparableError, match=r"engine on Pendulum-v1: td3: 'stable-baselines3 2\.0\.0'"):
        write_report(other, tmp_path / "out", FULL)
    broken = results.assign(value=results["value"].where(results["run"] != "td3-Hopper-v5-seed1", np.nan))
    with pytest.raises(ValueError, match="not finite in td3-Hopper-v5-seed1"):
        write_report(broken, tmp_path / "out", FULL)
    with pytest.raises(ValueError, match="reference='nobody': expected an arm with results, td3, td3_pr"):
        write_report(results, tmp_path / "out", replace(FULL, reference="nobody"))
    assert not (tmp_path / "out").exists()
    context = replace(FULL, exclude=["td3-Hopper-v5-seed1"])
    text = said(broken, context)
    assert "Run td3-Hopper-v5-seed1 was left out by request." in text
    assert "An arm that loses runs this way looks steadier than it is." in text


@pytest.mark.slow
def test_the_same_results_give_the_same_file(tmp_path):
    results = study(5, {"td3": 10.0, "td3_pr": 20.0}, ["Pendulum-v1"])
    files = [write_report(results, tmp_path / name, ReportContext()).read_bytes() for name in ("a", "b")]
    assert files[0] == files[1]


def test_unknown_times_leave_their_figure_out():
    results = study(5, tasks=["Pendulum-v1"]).assign(wall_time=np.nan, cpu_time=np.nan)
    text = said(results)
    assert "Return against CPU time" not in text
    assert "unknown" in text


def test_markdown_and_html_keep_the_text_of_others_as_text():
    document = build(study(5, tasks=["Pendulum-v1"]), replace(FULL, labels=LABELS | {"td3": "TD3 | <i>upstream</i>"}))
    assert r"| TD3 \| &lt;i>upstream&lt;/i> | 1 | 5 |" in to_markdown(document, "figures")
    assert "TD3 | <i>upstream</i>" in words(to_html(document, dict.fromkeys(FIGURES, b"")))
