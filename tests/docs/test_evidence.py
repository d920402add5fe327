"""Numbers that stand in a row of a page are those of the summary that the row links to."""

import re
from pathlib import Path

import pytest

DOCS = Path(__file__).parents[2] / "docs"
NUMBER = re.compile(r"[+-]?[\d.,]*\d \[[+-]?[\d.,]*\d, [+-]?[\d.,]*\d\]")
SUMMARY = re.compile(r"\]\((results/[^)#]*summary\.md)\)")


def plain(text):
    return text.replace("+", "").replace(",", "")


def turned(number):
    """The same difference seen from the other arm: "lower by 250 [170, 330]" is -250 [-330, -170]."""
    value, low, high = (part.strip(" []+") for part in re.split(r" \[|, ", number))
    return plain(f"-{value} [-{high}, -{low}]")


@pytest.mark.parametrize("page", ["evidence.md", "choosing.md"])
def test_every_number_with_an_interval_stands_in_a_summary_that_its_row_links_to(page):
    found, own, before = 0, [], []
    for line in (DOCS / page).read_text().splitlines():
        if not line.startswith("|"):
            continue
        if links := SUMMARY.findall(line):
            own, before = links, own
        summaries = [plain((DOCS / path).read_text()) for path in [*own, *before]]  # "the same study": the row above
        for number in NUMBER.findall(line):
            found += 1
            forms = (plain(number), turned(number))
            assert any(form in text for form in forms for text in summaries), f"{number} is in none of {own}"
    assert found
