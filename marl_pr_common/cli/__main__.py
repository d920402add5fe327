"""``python -m marl_pr_common.cli``."""

import sys

from marl_pr_common.cli import main

sys.exit(main())
