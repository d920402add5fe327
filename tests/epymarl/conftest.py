"""EPyMARL's own code for the tests, read from a checkout; without one they skip and say so."""

import pytest

from epymarl_pr.launch import compat, locate
from epymarl_pr.launch.errors import UsageError


def _checkout() -> locate.Checkout | str:
    try:
        found = locate.find()
    except UsageError as error:
        return str(error).partition(" Run\n")[0]
    if not found.tested:
        return f"EPyMARL at {found.root} is at commit {found.commit}, the tests need {locate.TESTED_COMMIT}"
    return found


FOUND = _checkout()


@pytest.fixture(scope="session")
def checkout() -> locate.Checkout:
    """The user's checkout at the tested commit, on the import path."""
    if isinstance(FOUND, str):
        pytest.skip(FOUND)
    compat.install(FOUND.src)
    pytest.importorskip("sacred", reason="needs the extra epymarl: pip install 'marl-pr[epymarl]'")
    return FOUND


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Say it in the summary when EPyMARL was not tested against."""
    if isinstance(FOUND, str):
        terminalreporter.write_line(f"EPyMARL tests skipped: {FOUND}", yellow=True)
