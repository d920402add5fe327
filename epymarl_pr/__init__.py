"""Policy Reciprocity for EPyMARL, on an untouched checkout: ``python -m epymarl_pr``; see docs/epymarl.md.

Importing it registers them with gymnasium, so that ``env_args.key="epymarl_pr:pp-6-v0"`` works in any EPyMARL.
"""

from importlib.util import find_spec

from epymarl_pr import moved as moved

if find_spec("gymnasium") is not None:  # part of the extra, not of the package's core
    from epymarl_pr.envs.ours import register_environments

    register_environments()
