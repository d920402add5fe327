"""Stable-Baselines3 as a host of runs and studies: settings, tasks, one run, arms."""
