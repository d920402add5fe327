"""Options are checked where they enter, and the message names the value and what to do."""

import pytest

from marl_pr_common import ReciprocityConfig
from marl_pr_common.config import from_mapping


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"kappa": 1.5}, r"kappa=1\.5: expected a number in \[0, 1\]"),
        ({"kappa": -0.1}, "kappa=-0.1"),
        ({"kappa": float("nan")}, "kappa=nan"),
        ({"kappa": "half"}, "kappa='half'"),
        ({"adjacency": "nosie"}, "Did you mean 'noise'"),
        ({"weights": "eq4"}, "exponential, uniform"),
        ({"rho": 0}, "rho=0: expected an integer >= 1"),
        ({"rho": 1.5}, "rho=1.5"),
        ({"n_adjacent": True}, "n_adjacent=True"),
        ({"sync_interval": -3}, "sync_interval=-3"),
        ({"temperature": 0.0}, "temperature=0.0"),
        ({"noise_scale": float("inf")}, "noise_scale=inf"),
        ({"peers": "matrix"}, "go together"),
        ({"peer_matrix": ((0.0,),)}, "go together"),
        ({"trust": "TD"}, "trust='TD' is not one of uniform, td"),
        ({"trust": "td", "trust_power": 0}, r"trust_power=0\.0: expected a finite number > 0"),
        ({"trust_power": float("nan")}, "trust_power=nan"),
        ({"trust_power": -8.0}, "trust_power=-8.0"),
        ({"trust": "td", "normalize": "sum"}, "trust='td' with normalize=\"sum\""),
        ({"estimator": "one_voice", "normalize": "sum"}, "add up to more than 1"),
        ({"consensus": 1.1}, "consensus=1.1: expected a number in"),
        ({"consensus": float("nan")}, "consensus=nan"),
        ({"consensus": 0.1, "normalize": "sum"}, 'consensus=0.1 with normalize="sum"'),
        ({"in_actor": "yes"}, "in_actor='yes'"),
        ({"kapa": 0.5}, "unknown key 'kapa'.*Did you mean 'kappa'"),
    ],
)
def test_bad_options_are_refused(options, message):
    with pytest.raises(ValueError, match=message):
        from_mapping(ReciprocityConfig, options)


def test_defaults_are_valid_and_frozen():
    config = from_mapping(ReciprocityConfig, {"kappa": 1, "adjacency": "resample"})
    assert config.kappa == 1
    with pytest.raises(AttributeError):
        config.kappa = 0.5  # type: ignore[misc]
