"""What ``help(TD3PR)`` and completion show: SB3's parameters, ours, and the options of PR, each by name."""

from __future__ import annotations

import dataclasses
import inspect
from typing import Any, ClassVar, get_type_hints

from marl_pr_common.reciprocity import ReciprocityConfig


class Option:
    """One of PR's options as an attribute of a model, to be read: set, it would change nothing before the next load."""

    def __init__(self, name: str) -> None:
        self.name = name

    def __get__(self, model: Any, owner: Any = None) -> Any:
        return self if model is None else getattr(model.pr, self.name)

    def __set__(self, model: Any, value: Any) -> None:
        keyword = "pr_trust" if self.name == "trust" else self.name
        raise AttributeError(
            f"{self.name}={value!r}: of PR's options only kappa may be set on a model. Give the others to the "
            f"constructor, or save the model and go on with load(path, {keyword}={value!r})."
        )


class NamedParameters:
    """Mixin of classes whose constructor takes the parameters of ``upstream`` and PR's options as ``**kwargs``."""

    upstream: ClassVar[type]
    __signature__: ClassVar[inspect.Signature]

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        if hasattr(cls, "upstream"):
            cls.__signature__ = _signature(cls)
        for field in dataclasses.fields(ReciprocityConfig):
            if not hasattr(cls, field.name):
                setattr(cls, field.name, Option(field.name))


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
