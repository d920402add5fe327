"""Complete resume for EPyMARL, switched on by ``pr_full_checkpoint=True``.

EPyMARL's own checkpoints hold its networks, for evaluation; going on from them loses MADDPG's critics, QMIX's target
mixer, PPO's old policy, running statistics, the replay buffer, random states and counters. Beside them, in
``models/<run>/full``, this package writes all of that (:mod:`marl_pr_common.checkpoint`), and reads it back when the
same command is given with ``checkpoint_path=models/<run>``.

    counters   the loop counters of EPyMARL's run.py, which nothing else can reach
    workers    the random generators of environments, in this process or in workers
    state      learner, buffer, runner and logs as trees
    session    when to save, what to load
"""

from epymarl_pr.resume.session import Session, install, session

__all__ = ["Session", "install", "session"]
