"""Modules under their earlier names; see :mod:`marl_pr_common.moved`."""

from marl_pr_common.moved import Earlier, install

MOVED = {
    "agents": ("algorithms.multi_agent",),
    "buffers": ("replay.buffers",),
    "clipping": ("networks.clipping",),
    "ddpg": ("algorithms.ddpg",),
    "ensemble": ("own_critics",),
    "extraction": ("networks.extraction",),
    "joining": ("networks.joining",),
    "layers": ("networks.layers",),
    "mlp": ("networks.mlp",),
    "observations": ("networks.observations",),
    "optimizers": ("networks.optimizers",),
    "padding": ("envs.padding",),
    "parallel": ("envs.parallel",),
    "parameters": ("networks.parameters",),
    "persistence": ("saving.zips",),
    "pickles": ("saving.pickles",),
    "reciprocal": ("target",),
    "recorder": ("study.recorder",),
    "resume": ("saving.resume",),
    "signature": ("algorithms.signature",),
    "stacking": ("networks.stacking",),
    "study_host": ("study.host",),
    "surgery": ("networks.surgery",),
    "tasks": ("study.tasks",),
    "td3": ("algorithms.td3",),
    "teams": ("study.teams",),
    "train_config": ("study.config",),
    "training": ("study.run",),
    "vec_env": ("envs.columns",),
    "views": ("replay.views",),
}
"""Earlier name -> name of now, in this package."""

install(str(__package__), Earlier(MOVED))
