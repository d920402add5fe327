"""What ``help(TD3PR)`` and completion show: SB3's parameters, ours, and the options of PR, each by name."""

from __future__ import annotations

import dataclasses
import inspect
from typing import Any, ClassVar, get_type_hints

from marl_pr_common.reciprocity import ReciprocityConfig


class NamedParameters:
    """Mixin of classes whose constructor takes the parameters of ``upstream`` and PR's options as ``**kwargs``."""

    upstream: ClassVar[type]
    __signature__: ClassVar[inspect.Signature]

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        if hasattr(cls, "upstream"):
            cls.__signature__ = _signature(cls)


def _signature(cls: type[NamedParameters]) -> inspect.Signature:
    """SB3's parameters in their order, which may be given by position, then the class's own, then PR's options."""
    own = list(inspect.signature(cls.__init__).parameters.values())[1:]
    if all(parameter.kind is not inspect.Parameter.VAR_KEYWORD for parameter in own):
        return inspect.Signature(own)  # a user's class with a constructor of its own
    upstream = list(inspect.signature(cls.upstream.__init__).parameters.values())[1:]  # type: ignore[misc]
    keyword = inspect.Parameter.KEYWORD_ONLY
    hints = get_type_hints(ReciprocityConfig)
    options = [
        inspect.Parameter(field.name, keyword, default=field.default, annotation=hints[field.name])
        for field in dataclasses.fields(ReciprocityConfig)
    ]
    named = {parameter.name: parameter for parameter in upstream}
    for parameter in own:
        if parameter.kind not in (inspect.Parameter.VAR_KEYWORD, inspect.Parameter.VAR_POSITIONAL):
            named.setdefault(parameter.name, parameter.replace(kind=keyword))
    return inspect.Signature([*named.values(), *options])
