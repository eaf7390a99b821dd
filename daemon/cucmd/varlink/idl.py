"""PURE. The text of an interface, in the language of varlink.org, made from its structs.

The one rule: what is written is what the decoder takes; only comments come from elsewhere.
"""

from __future__ import annotations

import ast
import re
import typing
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any, Literal

import msgspec

from cucmd.varlink.interface import Method
from cucmd.varlink.requests import field_types, without_none

Struct = type[msgspec.Struct]

_PLAIN: dict[Any, str] = {
    str: "string",
    bool: "bool",
    int: "int",
    float: "float",
    datetime: "string",
}
_LONGEST_LINE = 80


def describe(
    name: str,
    types: Sequence[Struct],
    methods: Iterable[Method],
    errors: Mapping[str, Struct],
    comments: Mapping[str, str],
) -> str:
    """The text. `comments` are by struct (`Job`, `StartRequest`), field (`Job.nodes`) or `""`.

    Raises `TypeError` for a field that has no form on the wire, or a struct not among `types`.
    """
    writer = _Writer(types, comments)
    parts = [writer.comment("") + f"interface {name}"]
    parts += [writer.type(struct) for struct in types]
    parts += [writer.method(method) for method in methods]
    parts += [writer.error(name, struct) for name, struct in errors.items()]
    return "\n\n".join(parts) + "\n"


class _Writer:
    def __init__(self, types: Sequence[Struct], comments: Mapping[str, str]) -> None:
        self._types = types
        self._comments = comments

    def comment(self, of: str, indent: str = "") -> str:
        lines = self._comments.get(of, "").splitlines()
        return "".join(f"{indent}# {line}".rstrip() + "\n" for line in lines)

    def type(self, struct: Struct) -> str:
        name = struct.__name__
        return f"{self.comment(name)}type {name} {self._fields(struct, at=_LONGEST_LINE)}"

    def error(self, name: str, struct: Struct) -> str:
        comment = self.comment(struct.__name__)
        return f"{comment}error {name} {self._fields(struct, at=len(name) + 7)}"

    def method(self, method: Method) -> str:
        head = f"method {method.name}"
        request = self._fields(method.request, at=len(head) + 20)
        reply = self._fields(method.reply, at=len(head) + len(request.splitlines()[0]))
        return f"{self.comment(method.request.__name__)}{head}{request} -> {reply}"

    def _fields(self, struct: Struct, at: int) -> str:
        """In one line if there is room for it after `at` columns, and nothing to explain."""
        fields = {name: self._type(kind) for name, kind in field_types(struct).items()}
        line = ", ".join(f"{name}: {kind}" for name, kind in fields.items())
        explained = any(f"{struct.__name__}.{name}" in self._comments for name in fields)
        if at + len(line) < _LONGEST_LINE and not explained:
            return f"({line})"
        lines = [
            f"{self.comment(f'{struct.__name__}.{name}', '  ')}  {name}: {kind}"
            for name, kind in fields.items()
        ]
        return "(\n" + ",\n".join(lines) + "\n)"

    def _type(self, kind: Any) -> str:
        kind, nullable = without_none(kind)
        return ("?" if nullable else "") + self._type_itself(kind)

    def _type_itself(self, kind: Any) -> str:
        if kind in _PLAIN:
            return _PLAIN[kind]
        if kind in self._types:
            return str(kind.__name__)
        arguments = typing.get_args(kind)
        match typing.get_origin(kind), arguments:
            case (origin, _) if origin is Literal:
                return f"({', '.join(arguments)})"
            case (origin, (item, last)) if origin is tuple and last is Ellipsis:
                return f"[]{self._type(item)}"
            case (origin, (key, item)) if origin is dict and key is str:
                return f"[string]{self._type(item)}"
        raise TypeError(f"{kind} has no form in an interface")


_COMMENT = re.compile(r"\s*#(?: (.*)|)")


def comments_in(source: str) -> dict[str, str]:
    """The comment right above each class and each field, by `Class` and `Class.field`.

    Above an assignment at the top, by the name that is assigned to.
    """
    lines = source.splitlines()
    found = {}
    for node in ast.parse(source).body:
        for name, line in _places(node):
            if text := _comment_above(lines, line):
                found[name] = text
    return found


def _places(node: ast.stmt) -> list[tuple[str, int]]:
    """What can have a comment, and the line (from 1) at which it begins."""
    if isinstance(node, ast.ClassDef):
        fields = [one for one in node.body if isinstance(one, ast.AnnAssign)]
        places = [(f"{node.name}.{ast.unparse(one.target)}", one.lineno) for one in fields]
        return [(node.name, node.lineno), *places]
    if isinstance(node, ast.Assign):
        return [(ast.unparse(node.targets[0]), node.lineno)]
    return []


def _comment_above(lines: Sequence[str], line: int) -> str:
    above: list[str] = []
    for text in reversed(lines[: line - 1]):
        comment = _COMMENT.fullmatch(text)
        if comment is None:
            break
        above.insert(0, comment[1] or "")
    return "\n".join(above)
