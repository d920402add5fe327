"""A report as one HTML file, and as Markdown."""

from __future__ import annotations

import base64
from collections.abc import Mapping, Sequence
from urllib.parse import quote

import jinja2

from marl_pr_common.report.document import Document, Table


def to_html(document: Document, images: Mapping[str, bytes]) -> str:
    """The HTML file; nothing in it refers to anything outside it.

    :param images: name of a drawing -> its SVG
    """
    # As an image, not inline: the files share ids, and an image may not run or load anything.
    sources = {name: f"data:image/svg+xml;base64,{base64.b64encode(svg).decode()}" for name, svg in images.items()}
    return _render("report.html.j2", report=document, sources=sources)


def to_index(title: str, description: Sequence[str], reports: Mapping[str, Document], file: str) -> str:
    """The HTML file that leads to several reports.

    :param reports: folder -> the report in it
    :param file: name of the reports in their folders
    """
    hrefs = {folder: f"{quote(folder)}/{file}" for folder in reports}
    return _render("index.html.j2", title=title, description=description, reports=reports, hrefs=hrefs)


def _render(template: str, **given: object) -> str:
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("marl_pr_common.report"),
        autoescape=True,  # labels, notes and logs are other people's text
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    return environment.get_template(template).render(**given) + "\n"


def to_markdown(document: Document, figures: str) -> str:
    """The same words and tables as Markdown, with links to the figures.

    :param figures: folder of the figures beside the file
    """
    lines = [f"# {_inline(document.title)}", "", *_paragraphs(document.description)]
    lines += ["## What came out", "", *_paragraphs(document.conclusion)]
    lines += [*(_table(document.verdicts) if document.verdicts else []), *_items(document.differences)]
    lines += ["## What it does not show", "", *_items(document.limits)]
    lines += ["## What was run", "", *_items(document.setting)]
    lines += ["## Figures", ""]
    for drawing in document.drawings:
        lines += [f"![{_inline(drawing.title)}]({figures}/{drawing.name}.png)", "", drawing.caption, ""]
    lines += _items(document.undrawn)
    for task, tables in document.tables.items():
        lines += [f"## {_inline(task)}", "", *(line for table in tables for line in _table(table))]
    if document.sharing:
        lines += ["## The effect of sharing the budget", "", *_paragraphs(document.sharing)]
    lines += [line for table in document.sharing_tables for line in _table(table)]
    lines += _items(document.sharing_differences)
    if document.left_out or document.notes:
        lines += ["## Not in the numbers, and notes", "", *_items([*document.left_out, *document.notes])]
    return "\n".join(lines).rstrip() + "\n"


def _paragraphs(texts: object) -> list[str]:
    return [line for text in texts for line in (_inline(text), "")]  # type: ignore[attr-defined]


def _items(texts: object) -> list[str]:
    items = [f"- {_inline(text)}" for text in texts]  # type: ignore[attr-defined]
    return [*items, ""] if items else []


def _table(table: Table) -> list[str]:
    rows = [table.header, ["---"] * len(table.header), *table.rows]
    lines = [f"| {' | '.join(_inline(cell).replace('|', chr(92) + '|') for cell in row)} |" for row in rows]
    return [f"### {_inline(table.title)}", "", *lines, "", *([table.note, ""] if table.note else [])]


def _inline(text: str) -> str:
    """One line, and no HTML: Markdown would take a tag for one."""
    return " ".join(text.split()).replace("<", "&lt;")
