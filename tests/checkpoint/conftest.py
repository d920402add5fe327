"""Where a bomb writes when it goes off."""

import pytest


@pytest.fixture
def canary(tmp_path):
    """A file that exists only if foreign code ran."""
    return tmp_path / "canary"
