"""Modules under their earlier names; see :mod:`marl_pr_common.moved`."""

from marl_pr_common.moved import Earlier, install

MOVED = {
    "checkpoints": ("launch.checkpoints",),
    "checks": ("launch.checks",),
    "compat": ("launch.compat",),
    "derive": ("launch.derive",),
    "environments": ("envs.ours",),
    "errors": ("launch.errors",),
    "guarded_env": ("envs.guarded",),
    "guarded_learner": ("learners.guarded",),
    "last_words": ("launch.last_words",),
    "launcher": ("launch.launcher",),
    "learners.dvm": ("transfer.dvm",),
    "learners.maptf": ("transfer.maptf",),
    "learners.replay": ("transfer.replay",),
    "locate": ("launch.locate",),
    "options": ("launch.options",),
    "register": ("launch.register",),
    "run_dir": ("launch.run_dir",),
    "settings": ("launch.settings",),
    "smax": ("envs.smax",),
    "spaces": ("envs.spaces",),
    "starcraft": ("envs.starcraft",),
    "study_host": ("study.host",),
    "teams": ("envs.teams",),
    "vectorised": ("envs.vectorised",),
    "worker": ("launch.worker",),
    "workers": ("envs.workers",),
}
"""Earlier name -> name of now, in this package."""

install(str(__package__), Earlier(MOVED))
