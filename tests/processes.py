"""Commands in processes of their own."""

import sys

import pytest

CLI = [sys.executable, "-m", "marl_pr_common.cli"]
LINUX_ONLY = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="only Linux tells a child")
