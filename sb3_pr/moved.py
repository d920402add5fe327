"""Modules under their earlier names; see :mod:`marl_pr_common.moved`."""

from marl_pr_common.moved import Earlier, install, into

MOVED: dict[str, tuple[str, ...]] = {
    **into("algorithms", "ddpg signature td3"),
    **into("envs", "padding parallel"),
    **into("networks", "clipping extraction joining layers mlp observations optimizers parameters stacking surgery"),
    **into("replay", "buffers views"),
    **into("saving", "pickles resume"),
    **into("study", "recorder tasks teams"),
    "agents": ("algorithms.multi_agent",),
    "ensemble": ("own_critics",),
    "persistence": ("saving.zips",),
    "reciprocal": ("target",),
    "study_host": ("study.host",),
    "train_config": ("study.config",),
    "training": ("study.run",),
    "vec_env": ("envs.columns",),
}
"""Earlier name -> name of now, in this package."""

install(str(__package__), Earlier(MOVED))
