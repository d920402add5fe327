"""YAML as data: PyYAML's safe loader, with limits, and errors that name the key."""

from __future__ import annotations

from typing import Any

import yaml

MAX_BYTES = 1 << 20
MAX_DEPTH = 20
"""Levels of nesting; a configuration has three."""
_KINDS: dict[type[yaml.Node], str] = {yaml.SequenceNode: "list", yaml.MappingNode: "mapping"}


def load_mapping(text: str, where: str) -> dict[str, Any]:
    """The mapping that ``text`` holds. Tags that make objects, aliases, and keys that come twice are refused.

    :param where: what the text is, for the message
    :raises ValueError: if it is not YAML, not a mapping, larger or deeper than a configuration can be, or a key's
        value is none: the message names the key
    """
    if len(text) > MAX_BYTES:
        raise ValueError(f"{where} has {len(text)} characters; a configuration has at most {MAX_BYTES}.")
    try:
        _check_events(text, where)
        loader = yaml.SafeLoader(text)
        try:
            root = loader.get_single_node()
            if not isinstance(root, yaml.MappingNode):
                kind = "nothing" if root is None else _KINDS.get(type(root), "text")
                raise ValueError(f"{where} holds {kind}, expected one `key: value` per line.")
            return _mapping(loader, root, where)
        finally:
            loader.dispose()
    except yaml.YAMLError as error:
        raise ValueError(f"{where} is not valid YAML: {error}") from error


def _check_events(text: str, where: str) -> None:
    """Before anything is built: depth and aliases."""
    depth = 0
    for event in yaml.parse(text, Loader=yaml.SafeLoader):
        if isinstance(event, yaml.AliasEvent):
            raise ValueError(f"{where} uses the alias *{event.anchor}; configurations repeat a value instead.")
        depth += isinstance(event, yaml.CollectionStartEvent) - isinstance(event, yaml.CollectionEndEvent)
        if depth > MAX_DEPTH:
            raise ValueError(f"{where} is nested deeper than {MAX_DEPTH} levels.")


def _mapping(loader: yaml.SafeLoader, root: yaml.MappingNode, where: str) -> dict[str, Any]:
    content: dict[str, Any] = {}
    for key_node, value_node in root.value:
        if not isinstance(key_node, yaml.ScalarNode):
            raise ValueError(f"{where}: a key is a {_KINDS.get(type(key_node))}, expected text.")
        key = str(key_node.value)
        if key in content:
            raise ValueError(f"{where}: key {key!r} comes twice.")
        try:
            content[key] = loader.construct_object(value_node, deep=True)
        except yaml.YAMLError as error:
            raise ValueError(f"{where}: {key} is not valid YAML: {error}") from error
        except (ValueError, TypeError, OverflowError) as error:
            raise ValueError(f"{where}: {key}: {error}") from error
        _check_keys(value_node, f"{where}: {key}")
    return content


def _check_keys(node: yaml.Node, where: str) -> None:
    if isinstance(node, yaml.MappingNode):
        names = [str(key.value) for key, _ in node.value]
        doubled = {name for name in names if names.count(name) > 1}
        if doubled:
            raise ValueError(f"{where}: key {min(doubled)!r} comes twice.")
        for _, value in node.value:
            _check_keys(value, where)
    elif isinstance(node, yaml.SequenceNode):
        for value in node.value:
            _check_keys(value, where)
