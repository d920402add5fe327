"""Modules under their earlier names; see :mod:`marl_pr_common.moved`."""

from marl_pr_common.moved import Earlier, install, into

MOVED: dict[str, tuple[str, ...]] = {
    **into("envs", "smax spaces starcraft teams vectorised workers"),
    **into(
        "launch",
        "checkpoints checks compat derive errors last_words launcher locate options register run_dir settings worker",
    ),
    "environments": ("envs.ours",),
    "guarded_env": ("envs.guarded",),
    "guarded_learner": ("learners.guarded",),
    "learners.dvm": ("transfer.dvm",),
    "learners.maptf": ("transfer.maptf",),
    "learners.replay": ("transfer.replay",),
    "study_host": ("study.host",),
}
"""Earlier name -> name of now, in this package."""

install(str(__package__), Earlier(MOVED))
