"""Saving and loading: SB3's zip files, and checkpoints from which a run goes on exactly."""
