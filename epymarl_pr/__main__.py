"""``python -m epymarl_pr``; see :mod:`epymarl_pr.launcher`."""

import sys

from epymarl_pr import launcher

if __name__ == "__main__":
    launcher.main(sys.argv[1:], globals())
