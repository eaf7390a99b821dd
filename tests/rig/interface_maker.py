"""Makes the text of the Varlink interface from its structs.

`cd tests && python -m rig.interface_maker` writes `protocol/io.cucmd.Jobs.varlink`, which clients
read from the socket. A test compares the file with what is made here. The text describes a struct
by its docstring, a field by the comment before it, and a method by the docstring of its request.
"""

import inspect
import re
import sys
import textwrap
import typing
from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime
from pathlib import Path
from types import ModuleType
from typing import Any, Literal

from msgspec import Struct

from cucmd.api.jobs_interface import jobs_interface
from cucmd.job import attempt, cluster, coverage, failure, request, work_request
from cucmd.job.work import KINDS, kind_of
from cucmd.protocol import cases, errors, figures, jobs, knowledge, requests
from cucmd.varlink import Interface, Method
from cucmd.varlink.request_decoding import field_types, without_none

HEAD = """\
# Log-collection jobs over Cisco Unified CM nodes.
# Times are RFC 3339 in UTC; durations are seconds; sizes are bytes.
"""
WIDTH = 100
# The modules with the types, in the order of the text.
MODULES: Sequence[ModuleType] = (
    request,
    work_request,
    cluster,
    *dict.fromkeys(sys.modules[kind.__module__] for kind in KINDS),
    *(coverage, failure, attempt, jobs, requests, cases, knowledge, figures),
)
_NAMES = ", ".join(f'"{kind_of(kind)}"' for kind in KINDS)
_PLAIN = {
    str: "string",
    bytes: "string",
    bool: "bool",
    int: "int",
    float: "float",
    datetime: "string",
}


def text(methods: Iterable[Method]) -> str:
    """Returns the text of the interface: these methods, the types that they use, and all errors."""
    methods = tuple(methods)
    used = set(_within(part for method in methods for part in (method.request, method.reply)))
    used |= set(_within(structs_of(errors)))
    known = (one for module in MODULES for one in structs_of(module))
    types = [one for one in known if one in used and one.__struct_fields__]
    pieces = [f"{HEAD}interface {requests.INTERFACE}\n"]
    pieces += [_declared("type", one.__name__, one) for one in types]
    pieces += [_method(method) for method in methods]
    pieces += [_declared("error", one.__name__, one) for one in structs_of(errors)]
    return "\n".join(pieces)


def structs_of(module: ModuleType) -> list[type[Struct]]:
    """Returns the public structs that a module declares, in its order."""
    declared = [one for one in vars(module).values() if isinstance(one, type)]
    return [
        one
        for one in declared
        if issubclass(one, Struct) and one.__module__ == module.__name__ and one.__name__[0] != "_"
    ]


def _declared(kind: str, name: str, struct: type[Struct]) -> str:
    return f"{_comment(struct)}{kind} {name} {_fields(struct)}\n"


def _method(method: Method) -> str:
    what = f"method {method.name}{_fields(method.request)} -> {_fields(method.reply)}"
    return f"{_comment(method.request)}{what}\n"


def _comment(struct: type[Struct]) -> str:
    doc = inspect.cleandoc(struct.__doc__ or "") if "__doc__" in vars(struct) else ""
    return "".join(f"# {line}".rstrip() + "\n" for line in doc.replace("`", "").splitlines())


def _fields(struct: type[Struct]) -> str:
    said = dict(_field_comments(struct))
    fields = [(name, spelled(kind)) for name, kind in field_types(struct).items()]
    if not said:
        line = f"({', '.join(f'{name}: {kind}' for name, kind in fields)})"
        if len(line) <= WIDTH - 40:
            return line
    lines = [
        "".join(f"  # {line}\n" for line in said.get(name, ())) + f"  {name}: {kind}"
        for name, kind in fields
    ]
    return "(\n" + ",\n".join(lines) + "\n)"


def _field_comments(struct: type[Struct]) -> Iterator[tuple[str, list[str]]]:
    """Yields the comments before the fields of a struct and of its bases."""
    for base in reversed(struct.__mro__):
        if not issubclass(base, Struct) or not base.__module__.startswith("cucmd."):
            continue
        pending: list[str] = []
        for line in inspect.getsource(base).splitlines():
            if comment := re.fullmatch(r"    # (.*)", line):
                pending.append(comment[1])
                continue
            if pending and (field := re.match(r"    (\w+): ", line)):
                said = " ".join(pending).replace("{kinds}", _NAMES)
                yield field[1], textwrap.wrap(said, WIDTH - 4)
            pending = []


def spelled(kind: Any) -> str:
    """Spells a type as an interface does. Raises TypeError if Varlink has no such type."""
    kind, nullable = without_none(kind)
    return "?" * nullable + _spelled(kind)


def _spelled(kind: Any) -> str:
    if kind in _PLAIN:
        return _PLAIN[kind]
    if isinstance(kind, type) and issubclass(kind, Struct):
        # varlinkctl of systemd refuses types without fields.
        return kind.__name__ if kind.__struct_fields__ else "object"
    arguments = typing.get_args(kind)
    match typing.get_origin(kind), arguments:
        case (origin, _) if origin is Literal:
            return f"({', '.join(arguments)})"
        case (origin, (item, last)) if origin is tuple and last is Ellipsis:
            return f"[]{spelled(item)}"
        case (origin, (_, item)) if origin is dict and item is Any:
            return "object"
        case (origin, (key, item)) if origin is dict and key is str:
            return f"[string]{spelled(item)}"
    raise TypeError(f"{kind} has no form in an interface")


def _within(structs: Iterable[type[Struct]]) -> Iterator[type[Struct]]:
    """Yields the structs in the fields of these structs, at any depth."""
    for struct in structs:
        for kind in field_types(struct).values():
            inner, _ = without_none(kind)
            for one in (inner, *typing.get_args(inner)):
                if isinstance(one, type) and issubclass(one, Struct):
                    yield one
                    yield from _within([one])


class NoMethods:
    """Stands in for the objects whose methods the interface calls."""

    def __getattr__(self, name: str) -> None:
        return None


def interface() -> Interface:
    """Returns the interface of this version."""
    nothing: Any = NoMethods()
    return jobs_interface(
        nothing,
        nothing,
        nothing,
        nothing,
        nothing,
        finds=nothing,
        figure_methods=nothing,
        effective_caller=nothing,
    )


if __name__ == "__main__":
    Path(cases.__file__).with_name(f"{requests.INTERFACE}.varlink").write_text(
        text(interface().methods)
    )
