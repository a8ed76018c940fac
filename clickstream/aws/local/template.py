"""The project's CloudFormation template as plain data: every short tag becomes {"Fn::Name": value}."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final

import yaml

TEMPLATE: Final = Path(__file__).parents[3] / "infra" / "template.yaml"


class _Loader(yaml.SafeLoader):
    """Knows CloudFormation's short tags."""


def _function(loader: yaml.SafeLoader, name: str, node: yaml.Node) -> dict[str, Any]:
    value: Any
    if isinstance(node, yaml.ScalarNode):
        value = loader.construct_scalar(node)
    elif isinstance(node, yaml.SequenceNode):
        value = loader.construct_sequence(node, deep=True)
    else:
        assert isinstance(node, yaml.MappingNode)
        value = loader.construct_mapping(node, deep=True)
    return {"Ref" if name == "Ref" else f"Fn::{name}": value}


_Loader.add_multi_constructor("!", _function)


def load_template(text: str | None = None) -> dict[str, Any]:
    """The project's template, or the one in `text`."""
    loader = _Loader(TEMPLATE.read_text(encoding="utf-8") if text is None else text)
    try:
        return dict(loader.get_single_data())
    finally:
        loader.dispose()


def resources(template: dict[str, Any], kind: str) -> dict[str, dict[str, Any]]:
    """Properties by logical id of every resource of type `kind`."""
    return {
        name: resource.get("Properties", {})
        for name, resource in template["Resources"].items()
        if resource["Type"] == kind
    }
