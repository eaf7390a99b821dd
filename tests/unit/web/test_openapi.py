"""The document at /openapi.json is consistent."""

import json
from typing import Any

import pytest

from cucmweb.openapi import document
from cucmweb.operations import FOR_ANYBODY


@pytest.fixture(scope="module")
def described() -> dict[str, Any]:
    return json.loads(document())


def test_every_reference_leads_somewhere(described: dict[str, Any]) -> None:
    def references(part: Any) -> list[str]:
        if isinstance(part, dict):
            own = [part["$ref"]] if "$ref" in part else []
            return own + [one for value in part.values() for one in references(value)]
        return (
            [one for value in part for one in references(value)] if isinstance(part, list) else []
        )

    known = {f"#/components/schemas/{name}" for name in described["components"]["schemas"]}
    assert set(references(described)) <= known


def test_names_of_operations_are_used_once(described: dict[str, Any]) -> None:
    names = [one["operationId"] for path in described["paths"].values() for one in path.values()]
    assert len(names) == len(set(names))


def test_open_paths_need_no_token(described: dict[str, Any]) -> None:
    asked = {path: one["get"] for path, one in described["paths"].items() if "get" in one}
    open_to_all = {path for path, one in asked.items() if one.get("security") == []}
    assert open_to_all == FOR_ANYBODY
    assert open_to_all == {path for path, one in asked.items() if "401" not in one["responses"]}
