"""PURE. Makes the document at /openapi.json (OpenAPI 3.1) from the table of paths and the structs.

Its descriptions are the docs of the structs, which are those of the socket's interface.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from functools import cache
from http import HTTPStatus
from typing import Any

import msgspec

import cucmd
from cucmd.protocol.jobs import Job
from cucmweb.operations import ARCHIVES, FOR_ANYBODY, MEDIA, OPERATIONS, OWN, Operation
from cucmweb.parameters import kind_of, members, objects_in_query
from cucmweb.problems import STATUS

_REF = "#/components/schemas/{name}"

# Statuses of errors that can occur for all requests, for requests that are passed on to the daemon,
# and for requests with a body.
_ALWAYS = {401, 403, 429, 500}
_OF_DAEMON = {*STATUS.values(), 400}
_OF_BODIES = {408, 413, 415}


class ProblemDocument(msgspec.Struct, frozen=True):
    """Describes an error (RFC 9457). Errors of the daemon can have more members."""

    type: str
    title: str
    status: int
    detail: str
    code: str
    request_id: str
    field: str | None = None
    hint: str | None = None


@cache
def document(base: str = "") -> bytes:
    """Returns the document as JSON. `base` stands before its paths, such as `/sites/berlin`."""
    requests = [operation.request for operation in OPERATIONS]
    kinds = [*map(_reply_type, OPERATIONS), *requests, ProblemDocument]
    # Requests get no schema of their own: parameters and bodies describe their members.
    names = {request.__name__ for request in requests}
    _, schemas = msgspec.json.schema_components(dict.fromkeys(kinds), ref_template=_REF)
    paths: dict[str, dict[str, Any]] = {}
    bodies: dict[str, Any] = {}
    for operation in OPERATIONS:
        described = _operation(operation, schemas, bodies)
        paths.setdefault(operation.path, {})[operation.verb.lower()] = described
    for path, says in OWN.items():
        for_anybody = path in FOR_ANYBODY
        wrong = _ALWAYS - ({401, 403} if for_anybody else set())
        wrong |= {503} if path == "/readyz" else set()
        described = {
            "operationId": path[1:].partition(".")[0],
            "summary": says,
            "parameters": [_REQUEST_ID],
            "responses": {"200": _reply(says, MEDIA["object"], {"type": "object"})}
            | _problems(wrong),
            **({"security": []} if for_anybody else {}),
        }
        paths[path] = {"get": described}
    used = {name: schema for name, schema in schemas.items() if name not in names}
    content = {
        "openapi": "3.1.0",
        "info": {"title": "cucmweb", "version": cucmd.__version__, "description": _ABOUT},
        "servers": [{"url": base or "/"}],
        "paths": paths,
        "components": {
            "schemas": used | bodies,
            "securitySchemes": {"token": {"type": "http", "scheme": "bearer"}},
        },
        # {}: at the Unix socket, and behind a proxy that names the caller, no token is needed.
        "security": [{}, {"token": []}],
    }
    return msgspec.json.encode(content)


_ABOUT = (
    "Jobs on the nodes of Cisco Unified CM clusters. Names and values are those of the daemon's "
    "Varlink interface."
)


def _reply_type(operation: Operation) -> Any:
    """Returns the type of a reply, or of each line of it."""
    if operation.form == "events":
        return Job
    if operation.gives is None or operation.form == "list":
        return operation.reply
    fields = msgspec.structs.fields(operation.reply)
    return next(field.type for field in fields if field.name == operation.gives)


def _operation(
    operation: Operation, schemas: Mapping[str, Any], bodies: dict[str, Any]
) -> dict[str, Any]:
    schema = schemas[operation.request.__name__]
    known = members(operation)
    properties = dict(schema["properties"])
    for kind in objects_in_query(operation).values():
        properties |= schemas[kind.__name__]["properties"]
    of_text = {"type": "string", "minLength": 1}
    in_path = [
        {"name": name, "in": "path", "required": True, "schema": of_text}
        for name in re.findall(r"{(\w+)}", operation.path)
    ]
    in_query = {} if operation.has_body else known
    described: dict[str, Any] = {
        "operationId": _name(operation),
        "summary": operation.summary,
        "parameters": [
            *in_path,
            *(_in_query(name, hint, properties[name]) for name, hint in in_query.items()),
            _REQUEST_ID,
        ],
        "responses": _responses(operation),
    }
    if operation.has_body:
        name = _name(operation)[0].upper() + _name(operation)[1:]
        body = {**schema, "title": _name(operation), "additionalProperties": False}
        body["properties"] = {k: v for k, v in schema["properties"].items() if k in known}
        body["required"] = [name for name in schema.get("required", ()) if name in known]
        bodies[name] = body
        content = {"application/json": {"schema": {"$ref": _REF.format(name=name)}}}
        described["requestBody"] = {"content": content, "required": bool(body["required"])}
    if operation.keyed:
        described["parameters"].append(_KEY)
    if operation.form == "events":
        described["parameters"].append(_LAST_EVENT)
    return described


def _name(operation: Operation) -> str:
    """Returns the id of an operation, from its method and path, such as `cancelJobsCancel`."""
    parts = re.findall(r"[a-z]+", re.sub(r"{\w+}", "", operation.path))
    return operation.method.lower() + "".join(part.capitalize() for part in parts)


def _in_query(name: str, hint: Any, schema: Mapping[str, Any]) -> dict[str, Any]:
    """Describes a parameter of a query, which cannot be null as a member of a body can."""
    if kind_of(hint) is dict:  # NAME=VALUE, repeated
        schema = {"type": "array", "items": {"type": "string", "pattern": "^[^=]+=.*$"}}
    elif len(kinds := [kind for kind in schema.get("anyOf", ()) if kind != {"type": "null"}]) == 1:
        [schema] = kinds
    else:
        schema = {k: v for k, v in schema.items() if k != "default"}
    return {"name": name, "in": "query", "required": False, "schema": dict(schema)}


def _responses(operation: Operation) -> dict[str, Any]:
    media = MEDIA[operation.form]
    schema: dict[str, Any] = {"type": "string"}
    if operation.form in ("object", "list", "lines"):
        [schema] = msgspec.json.schema_components([_reply_type(operation)], ref_template=_REF)[0]
    good = _reply(operation.summary, media, schema)
    if operation.status == 201:
        good["headers"]["Location"] = {"required": True, "schema": {"type": "string"}}
    if operation.form in ARCHIVES:
        good["headers"]["Content-Disposition"] = {"required": True, "schema": {"type": "string"}}
    replies = {str(operation.status): good}
    if operation.form == "events" and "{job_id}" in operation.path:
        replies["204"] = {"description": "No further event will come."}
    wrong = _ALWAYS | _OF_DAEMON | (_OF_BODIES if operation.has_body else set())
    return replies | _problems(wrong)


def _reply(says: str, media: str, schema: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "description": says,
        "content": {media: {"schema": schema}},
        "headers": {"X-Request-ID": {"required": True, "schema": {"type": "string"}}},
    }


def _problems(statuses: Iterable[int]) -> dict[str, Any]:
    schema = {"$ref": _REF.format(name="ProblemDocument")}
    return {
        str(status): _reply(HTTPStatus(status).phrase, "application/problem+json", schema)
        for status in sorted(statuses)
    }


def _header(name: str, says: str, **schema: str | int) -> dict[str, Any]:
    text = {"type": "string", **schema}
    return {"name": name, "in": "header", "required": False, "schema": text, "description": says}


_PRINTABLE = "^[!-~]([ -~]{0,126}[!-~])?$"
_REQUEST_ID_TEXT = "The id in the reply, the logs and the job. An id in another form is replaced."
_REQUEST_ID = _header("X-Request-ID", _REQUEST_ID_TEXT, pattern=_PRINTABLE)
_KEY_TEXT = "A request with the key of an earlier one is answered with the job of that one."
_KEY = _header("Idempotency-Key", _KEY_TEXT, pattern=_PRINTABLE)
_LAST_EVENT = _header(
    "Last-Event-ID",
    "The id of the last event: the events after it are sent, or else the current state.",
)
