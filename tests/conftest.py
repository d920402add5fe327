import pytest
import torch as th


@pytest.fixture(autouse=True, scope="session")
def _one_thread() -> None:
    """Bit-identity between runs needs one thread, and CI has two cores for two workers."""
    th.set_num_threads(1)
