"""Numbers with intervals in the pages that people decide by are those of the shipped results."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
TABLE = ROOT / "benchmarks" / "evidence_table.py"
INTERVAL = re.compile(r"\[[^\[\]]*\d[,;][^\[\]]*\d\](?!\()")
NUMBER = re.compile(r"(by )?([+-]?[\d,.]*\d) \[([+-]?[\d,.]*\d), ([+-]?[\d,.]*\d)\]")
SUMMARY = re.compile(r"\]\(([^)#]*results/[^)#]*summary\.md)\)")


def value(text):
    return float(text.replace(",", ""))


def triples(text):
    """Every number with its interval, of "lower by 250 [170, 330]" the one that is meant: -250 [-330, -170]."""
    for turned, *numbers in NUMBER.findall(text):
        one, low, high = map(value, numbers)
        yield (-one, -high, -low) if turned else (one, low, high)


def wrong(page, folder):
    """Numbers of the page's tables that are in none of the summaries that their row links to, and how many are right.

    A row without a link is about the study of the row above it.
    """
    bad, right, linked = [], 0, []
    for line in page.splitlines():
        if not line.startswith("|"):
            continue
        linked = SUMMARY.findall(line) or linked
        known = {triple for path in linked for triple in triples((folder / path).read_text())}
        written = list(triples(line))
        bad += [triple for triple in written if triple not in known]
        bad += [line] * (len(INTERVAL.findall(line)) > len(written))  # an interval that is not read
        right += len(written)
    return bad, right


@pytest.mark.parametrize("page", ["README.md", "docs/choosing.md"])
def test_every_number_with_an_interval_stands_in_a_summary_that_its_row_links_to(page):
    bad, right = wrong((ROOT / page).read_text(), (ROOT / page).parent)
    assert not bad
    assert right > 5


@pytest.mark.parametrize(
    ("number", "other"),
    [
        ("-580 [-970, -50]", "+580 [50, 970]"),
        ("-580 [-970, -50]", "80 [-970, -50]"),
        ("-580 [-970, -50]", "-580 [-970; -50]"),
        ("-580 [-970, -50]", "\u2212580 [\u2212970, \u221250]"),
        ("-62 [-340, 170]", "+62 [-170, 340]"),
        ("-62 [-340, 170]", "2 [-340, 170]"),
    ],
)
def test_another_number_is_found(number, other):
    page = (ROOT / "README.md").read_text()
    assert number in page
    assert wrong(page.replace(number, other), ROOT)[0]


def test_the_table_of_evidence_comes_from_the_results(tmp_path):
    page = ROOT / "docs" / "evidence.md"
    copy = tmp_path / "evidence.md"
    copy.write_text(page.read_text().replace("**hurts**", "**helps**").replace("[-330, -170]", "[170, 330]"))
    assert copy.read_text() != page.read_text()
    subprocess.run([sys.executable, TABLE, ROOT / "docs" / "results", "--write", copy], check=True)
    assert copy.read_text() == page.read_text()
