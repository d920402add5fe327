"""A second Reciprocity that goes on where the first one is."""

import copy

from marl_pr_common.reciprocity import Reciprocity


def twin(reciprocity: Reciprocity) -> Reciprocity:
    other = Reciprocity(reciprocity.config, reciprocity.n_agents, masks=reciprocity.masks)
    other.load_state_dict(copy.deepcopy(reciprocity.state_dict()))
    return other
