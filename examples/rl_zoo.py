"""rl_zoo3's command line with this package's algorithms: python examples/rl_zoo.py --algo td3_pr --env Pendulum-v1 ...

`n_envs: 3` in the file of --conf-file are three agents. Needs: pip install rl_zoo3
"""

import rl_zoo3.train

from sb3_pr import DDPGPR, SACPR, TD3PR

rl_zoo3.ALGOS.update(td3_pr=TD3PR, ddpg_pr=DDPGPR, sac_pr=SACPR)

if __name__ == "__main__":
    rl_zoo3.train.train()
