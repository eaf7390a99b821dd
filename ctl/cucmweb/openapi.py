"""PURE. Makes the document at /openapi.json (OpenAPI 3.1) from the table of paths and the structs.

The docs of the structs are those of the socket's interface, and are its texts here too.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from http import HTTPStatus
from typing import Any

import msgspec

import cucmd
from cucmd.protocol.jobs import Job
from cucmweb.asking import kind_of, members
from cucmweb.operations import FOR_ANYBODY, MEDIA, OPERATIONS, OWN, Operation
from cucmweb.problems import STATUS

_REF = "#/components/schemas/{name}"

# What can be answered to any request, besides what its operation gives; to one that goes on to the
# daemon; to one with a body.
_ALWAYS = {401, 403, 429, 500}
_OF_DAEMON = {*STATUS.values(), 400}
_OF_BODIES = {408, 413, 415}


class ProblemDocument(msgspec.Struct, frozen=True):
    """Says what went wrong (RFC 9457). An error of the daemon may have more members."""

    type: str
    title: str
    status: int
    detail: str
    code: str
    request_id: str
    field: str | None = None
    hint: str | None = None


def document() -> bytes:
    """Returns it as JSON."""
    structs = [_given(operation) for operation in OPERATIONS]
    asked = [operation.request for operation in OPERATIONS]
    kinds = [*structs, *asked, ProblemDocument]
    _, schemas = msgspec.json.schema_components(dict.fromkeys(kinds), ref_template=_REF)
    paths: dict[str, dict[str, Any]] = {}
    bodies: dict[str, Any] = {}
    for operation in OPERATIONS:
        described = _operation(operation, schemas, bodies)
        paths.setdefault(operation.path, {})[operation.verb.lower()] = described
    for path, says in OWN.items():
        paths[path] = {"get": _own(path, says)}
    used = {name: one for name, one in schemas.items() if name not in _asked_names()}
    said = {
        "openapi": "3.1.0",
        "info": {"title": "cucmweb", "version": cucmd.__version__, "description": _ABOUT},
        "paths": paths,
        "components": {
            "schemas": used | bodies,
            "securitySchemes": {"token": {"type": "http", "scheme": "bearer"}},
        },
        "security": [{}, {"token": []}],
    }
    return msgspec.json.encode(said)


_ABOUT = (
    "Jobs on the nodes of Cisco Unified CM clusters. What the daemon says on its socket is said "
    "here with the same names."
)


def _given(operation: Operation) -> Any:
    """Returns the type that a reply has, or each line of it."""
    if operation.form == "events":
        return Job
    if operation.gives is None or operation.form == "list":
        return operation.reply
    return msgspec.structs.fields(operation.reply)[_index(operation)].type


def _index(operation: Operation) -> int:
    return operation.reply.__struct_fields__.index(operation.gives or "")


def _asked_names() -> set[str]:
    """Names the schemas of requests whose members are parameters or bodies here."""
    return {operation.request.__name__ for operation in OPERATIONS}


def _operation(
    operation: Operation, schemas: Mapping[str, Any], bodies: dict[str, Any]
) -> dict[str, Any]:
    of_request = schemas[operation.request.__name__]["properties"]
    described: dict[str, Any] = {
        "operationId": _name(operation),
        "summary": operation.says,
        "parameters": [*_in_path(operation), *_in_query(operation, of_request), _REQUEST_ID],
        "responses": _responses(operation),
    }
    if operation.has_body:
        name = _name(operation)[0].upper() + _name(operation)[1:]
        bodies[name] = _body(operation, schemas[operation.request.__name__])
        content = {"application/json": {"schema": {"$ref": _REF.format(name=name)}}}
        described["requestBody"] = {
            "content": content,
            "required": bool(bodies[name].get("required")),
        }
    if operation.keyed:
        described["parameters"].append(_KEY)
    if operation.form == "events":
        described["parameters"].append(_LAST_EVENT)
    return described


def _name(operation: Operation) -> str:
    """Joins the method and the place of an operation: `postJobs`."""
    parts = re.findall(r"[a-z]+", operation.path.replace("{job_id}", "").replace("{node}", ""))
    return operation.method.lower() + "".join(part.capitalize() for part in parts)


def _in_path(operation: Operation) -> list[dict[str, Any]]:
    names = re.findall(r"{(\w+)}", operation.path)
    of_text = {"type": "string", "minLength": 1}
    return [{"name": one, "in": "path", "required": True, "schema": of_text} for one in names]


def _in_query(operation: Operation, properties: Mapping[str, Any]) -> list[dict[str, Any]]:
    if operation.has_body:
        return []
    found = []
    for name, hint in members(operation).items():
        schema = _without_null(properties[name])
        if kind_of(hint) is dict:  # NAME=VALUE, repeated
            schema = {"type": "array", "items": {"type": "string", "pattern": "^[^=]+=.*$"}}
        found.append({"name": name, "in": "query", "required": False, "schema": schema})
    return found


def _without_null(schema: Mapping[str, Any]) -> dict[str, Any]:
    """Takes null out of a schema: what is absent in a query is not there."""
    kinds = [one for one in schema.get("anyOf", ()) if one != {"type": "null"}]
    return (
        dict(kinds[0]) if len(kinds) == 1 else {k: v for k, v in schema.items() if k != "default"}
    )


def _body(operation: Operation, schema: Mapping[str, Any]) -> dict[str, Any]:
    """Describes the body of the request, without what the path and the headers say."""
    known = members(operation)
    body = {**schema, "title": _name(operation), "additionalProperties": False}
    body["properties"] = {k: v for k, v in schema["properties"].items() if k in known}
    body["required"] = [name for name in schema.get("required", ()) if name in known]
    return body


def _responses(operation: Operation) -> dict[str, Any]:
    media = MEDIA[operation.form]
    schema: dict[str, Any] = {"type": "string"}
    if operation.form in ("object", "list", "lines"):
        [schema] = msgspec.json.schema_components([_given(operation)], ref_template=_REF)[0]
    good = _good(operation.says, media, schema)
    if operation.status == 201:
        good["headers"]["Location"] = {"required": True, "schema": {"type": "string"}}
    if operation.form in ("zip", "tar"):
        good["headers"]["Content-Disposition"] = {"required": True, "schema": {"type": "string"}}
    replies = {str(operation.status): good}
    if operation.form == "events" and "{job_id}" in operation.path:
        replies["204"] = {"description": "Nothing will come any more."}
    wrong = _ALWAYS | _OF_DAEMON | (_OF_BODIES if operation.has_body else set())
    return replies | _problems(wrong)


def _own(path: str, says: str) -> dict[str, Any]:
    for_anybody = path in FOR_ANYBODY
    wrong = _ALWAYS - ({401, 403} if for_anybody else set())
    wrong |= {503} if path == "/readyz" else set()
    good = _good(says, MEDIA["object"], {"type": "object"})
    name = path[1:].partition(".")[0]
    return {
        "operationId": name,
        "summary": says,
        "parameters": [_REQUEST_ID],
        "responses": {"200": good} | _problems(wrong),
        **({"security": []} if for_anybody else {}),
    }


def _good(says: str, media: str, schema: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "description": says,
        "content": {media: {"schema": schema}},
        "headers": {"X-Request-ID": _ID_OF_REPLY},
    }


def _problems(statuses: Iterable[int]) -> dict[str, Any]:
    schema = {"$ref": _REF.format(name="ProblemDocument")}
    return {
        str(status): {
            "description": HTTPStatus(status).phrase,
            "content": {"application/problem+json": {"schema": schema}},
            "headers": {"X-Request-ID": _ID_OF_REPLY},
        }
        for status in sorted(statuses)
    }


_ID_OF_REPLY = {"required": True, "schema": {"type": "string"}}
_REQUEST_ID = {
    "name": "X-Request-ID",
    "in": "header",
    "required": False,
    "schema": {"type": "string", "pattern": "^[!-~]([ -~]{0,126}[!-~])?$"},
    "description": "Found again in the reply, in the logs, and in the job. One that is not sane is "
    "replaced.",
}
_KEY = {
    "name": "Idempotency-Key",
    "in": "header",
    "required": False,
    "schema": {"type": "string", "pattern": "^[!-~]([ -~]{0,126}[!-~])?$"},
    "description": "A second request with the key of an earlier one is answered with its job.",
}
_LAST_EVENT = {
    "name": "Last-Event-ID",
    "in": "header",
    "required": False,
    "schema": {"type": "string", "maxLength": 128},
    "description": "The id of the last event that came: what came after it is sent, or else the "
    "state as it is.",
}
