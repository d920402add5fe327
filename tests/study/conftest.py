"""EPyMARL's checkout, as its own tests have it, and a study that ran once."""

import pytest

from tests.epymarl.conftest import checkout
from tests.study.studies import TABULAR, run, write

__all__ = ["checkout"]


@pytest.fixture(scope="session")
def finished(tmp_path_factory):
    """A study that ran once, by the command."""
    folder = tmp_path_factory.mktemp("study")
    file, out = write(folder / "grids.yaml", TABULAR), folder / "out"
    return run(file, out), out, file
