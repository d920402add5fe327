"""Numbers with intervals that stand in a row of a page are those of the summary that the row links to."""

import re
from pathlib import Path

import pytest

DOCS = Path(__file__).parents[2] / "docs"
INTERVAL = re.compile(r"\[[^\[\]]*\d[,;][^\[\]]*\d\](?!\()")
NUMBER = re.compile(r"(by )?([+-]?[\d,.]*\d) \[([+-]?[\d,.]*\d), ([+-]?[\d,.]*\d)\]")
SUMMARY = re.compile(r"\]\((results/[^)#]*summary\.md)\)")


def value(text):
    return float(text.replace(",", ""))


def triples(text):
    """Every number with its interval, of "lower by 250 [170, 330]" the one that is meant: -250 [-330, -170]."""
    for turned, *numbers in NUMBER.findall(text):
        one, low, high = map(value, numbers)
        yield (-one, -high, -low) if turned else (one, low, high)


def wrong(page, root=DOCS):
    """Numbers of the page's tables that are in none of the summaries that their row links to, and how many are right.

    A row without a link is about the study of the row above it.
    """
    bad, right, linked = [], 0, []
    for line in page.splitlines():
        if not line.startswith("|"):
            continue
        linked = SUMMARY.findall(line) or linked
        known = {triple for path in linked for triple in triples((root / path).read_text())}
        written = list(triples(line))
        bad += [triple for triple in written if triple not in known]
        bad += [line] * (len(INTERVAL.findall(line)) > len(written))  # an interval that is not read
        right += len(written)
    return bad, right


@pytest.mark.parametrize("page", ["evidence.md", "choosing.md"])
def test_every_number_with_an_interval_stands_in_a_summary_that_its_row_links_to(page):
    bad, right = wrong((DOCS / page).read_text())
    assert not bad
    assert right


CHANGES = {
    "-250 [-330, -170]": [
        "+250 [170, 330]",
        "50 [-330, -170]",
        "-250 [-330; -170]",
        "\u2212250 [\u2212330, \u2212170]",
    ],
    "-42 [-110, 19]": ["+42 [-19, 110]", "42 [-110, 19]", "2 [-110, 19]", "+320 [230, 410]"],
}


@pytest.mark.parametrize(("number", "other"), [(a, b) for a, others in CHANGES.items() for b in others])
def test_another_number_is_found(number, other):
    page = (DOCS / "evidence.md").read_text()
    assert number in page
    assert wrong(page.replace(number, other))[0]
