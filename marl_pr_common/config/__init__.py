"""Configuration: mappings and YAML files become checked dataclasses.

mapping   a dataclass from a mapping, its checks, and the nearest name to a misspelt one
convert   values as a dataclass declares them
yaml      YAML as data, with limits
shipped   the YAML files that come with the package
"""

from typing import Any

from marl_pr_common.config.mapping import check_literals, from_mapping

__all__ = ["check_literals", "from_mapping"]
_OPTIONS = ("ReciprocityConfig", "Adjacency", "Metric", "Weights", "Peers", "Normalize", "MinOver", "Estimator")


def __getattr__(name: str) -> Any:
    if name in _OPTIONS:  # where saved models of version 0.1.0, and imports of that time, look for them
        from marl_pr_common.reciprocity import config

        return getattr(config, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
