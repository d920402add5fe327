"""Environments in the form that EPyMARL's runners take, and the workers that hold them."""
