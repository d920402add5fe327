"""From the command line to EPyMARL's main.py: the checkout, settings, checks, registries."""
