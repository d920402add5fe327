"""Puts a report together and writes it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd

from marl_pr_common.report import drawings, tables, verdicts, wording
from marl_pr_common.report.context import ReportContext
from marl_pr_common.report.document import Document
from marl_pr_common.report.figures import save_figure
from marl_pr_common.report.measure import measure
from marl_pr_common.report.render import to_html, to_index, to_markdown
from marl_pr_common.report.sharing import equal_budgets
from marl_pr_common.runs.files import write_text

REPORT = "report.html"
INDEX = "index.html"
"""Where a study has a report for each of several references."""
SUMMARY = "summary.md"
FIGURES = "figures"


def write_report(results: pd.DataFrame, out: Path, context: ReportContext | None = None) -> Path:
    """Write ``report.html``, ``summary.md`` and ``figures/*.png`` and ``.svg`` into ``out``.

    The HTML file needs nothing but itself: no script, no request. Files of these names are replaced; the report itself
    comes last, so that it never stands beside figures of other results.

    :param results: table in the schema of ``runs``; the order of arms is that of their first rows
    :param context: what the table does not hold
    :return: path of the HTML file
    :raises NotComparableError: if arms differ in budget, version of the task, engine or evaluation
    :raises ValueError: if there is nothing to report, or a run diverged and is not excluded by name
    """
    return write(build(results, context or ReportContext()), out)


def write(document: Document, out: Path) -> Path:
    """Draw and write what :func:`build` has put together; the path of the HTML file."""
    images = {}
    for drawing in document.drawings:
        _, svg = save_figure(drawing.figure, out / FIGURES / drawing.name, dpi=drawing.dpi)
        images[drawing.name] = svg.read_bytes()
    write_text(out / SUMMARY, to_markdown(document, FIGURES))
    write_text(out / REPORT, to_html(document, images))
    return out / REPORT


def write_index(out: Path, title: str, description: str, reports: Mapping[str, Document]) -> Path:
    """Write ``index.html``, which leads to several reports and gives the first lines of each.

    :param reports: folder below ``out`` -> the report that lies there
    """
    write_text(out / INDEX, to_index(title, paragraphs(description), reports, REPORT))
    return out / INDEX


def paragraphs(text: str) -> list[str]:
    """What empty lines divide."""
    return [part.strip() for part in text.split("\n\n") if part.strip()]


def build(results: pd.DataFrame, context: ReportContext) -> Document:
    """Compute, word, tabulate and draw; nothing is written."""
    measured = measure(results, context)
    rng = np.random.default_rng([context.seed, 1])
    equal = {name: equal_budgets(task, rng) for name, task in measured.tasks.items()}
    by_task = {name: tables.of_task(task, measured.alone, rng) for name, task in measured.tasks.items()}
    document = Document(
        title=context.title,
        reference=measured.labels[measured.reference].text,
        setting=wording.setting(measured),
        description=paragraphs(context.description),
        conclusion=wording.conclusion(measured, context),
        verdicts=verdicts.verdicts(measured, context, equal),
        differences=wording.differences(measured),
        limits=wording.limits(measured, context),
        drawings=drawings.draw(measured, context),
        undrawn=drawings.never_reached(measured),
        tables=by_task,
        sharing=wording.sharing(measured, equal),
        sharing_differences=wording.sharing_differences(measured, equal),
        sharing_tables=[
            tables.of_equal_budget(measured.tasks[name], budget) for name, pair in equal.items() for budget in pair
        ],
        left_out=wording.left_out(measured, context),
        notes=list(dict.fromkeys(context.notes)),
        made_with=tables.of_provenance(context.provenance),
        command=context.command or str(context.provenance.get("command", "")),
        config_text=context.config_text,
    )
    settings = tables.of_settings(measured, context)
    return replace(document, made_with=[settings, *document.made_with]) if settings else document
