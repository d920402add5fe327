"""The subcommands of ``marl-pr`` whose options are those of a run of Stable-Baselines3."""
