import hypothesis
import pytest
import torch as th

hypothesis.settings.register_profile(
    "any machine", deadline=None, suppress_health_check=[hypothesis.HealthCheck.too_slow]
)
hypothesis.settings.load_profile("any machine")


@pytest.fixture(autouse=True, scope="session")
def _one_thread() -> None:
    """Bit-identity between runs needs one thread, and CI has two cores for two workers."""
    th.set_num_threads(1)
