"""The subcommands of ``marl-pr``: each module has a dataclass ``Command``, its options, with ``run()``.

What a command does stands in the modules that it calls.
"""
