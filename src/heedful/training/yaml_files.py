"""YAML that says each thing once."""

from __future__ import annotations

from typing import Any

import yaml


class _Loader(yaml.SafeLoader):
    """Plain data only, and no key twice: of two values, one would be lost without a word."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        first: dict[tuple[str, str], yaml.Mark] = {}
        for key, _ in node.value:
            if isinstance(key, yaml.ScalarNode) and key.tag != "tag:yaml.org,2002:merge":
                before = first.setdefault((key.tag, key.value), key.start_mark)
                if before is not key.start_mark:
                    lines = f"in line {before.line + 1} and in line {key.start_mark.line + 1}"
                    raise yaml.constructor.ConstructorError(problem=f"the key {key.value!r} is there twice, {lines}")
        return super().construct_mapping(node, deep)


def read_yaml(text: str) -> Any:
    """The data in ``text``.

    Raises:
        yaml.YAMLError: it is not YAML, holds more than plain data, or a mapping has a key twice.
    """
    return yaml.load(text, _Loader)  # noqa: S506 - a SafeLoader
