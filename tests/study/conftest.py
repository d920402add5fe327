"""EPyMARL's checkout, as its own tests have it."""

from tests.epymarl.conftest import checkout

__all__ = ["checkout"]
