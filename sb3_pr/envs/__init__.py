"""Environments as columns of a VecEnv: column i is agent i."""
