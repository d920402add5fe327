"""How many seeds a statement needs; whatever draws, tabulates or words results asks here."""

from __future__ import annotations

MIN_SEEDS_FOR_INTERVAL = 5
"""With fewer seeds a bootstrap interval is not worth its name: the seeds themselves are shown."""
MIN_SEEDS_FOR_DIFFERENCE = 10
"""With fewer seeds nothing is ranked: intervals are too rough, and no test has the power to tell arms apart."""
