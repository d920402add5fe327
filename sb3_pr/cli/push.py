"""``marl-pr push``: an agent of a run on the Hugging Face Hub, as Stable-Baselines3 alone loads it."""

from __future__ import annotations
