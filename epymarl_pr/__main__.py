"""``python -m epymarl_pr``; see :mod:`epymarl_pr.launch.launcher`."""

import sys

from epymarl_pr.launch import launcher

if __name__ == "__main__":
    launcher.main(sys.argv[1:], globals())
