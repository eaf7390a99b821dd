"""Makes parts of the reference pages from the code: `cd tests && python -m rig.pages`.

Such a part stands between the lines `<!-- made: NAME -->` and `<!-- end -->` of a page. A test
(tests/unit/test_pages.py) compares each part with what is made here.
"""

from __future__ import annotations

import argparse
import inspect
import re
import textwrap
import typing
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import msgspec

import cucmctl
import cucmtrio
from cucmctl import main
from cucmctl.cli import exits
from cucmctl.cli.options import VerbParser
from cucmd.config.model import Config
from cucmd.failure import Code, failure
from cucmd.job.work import REQUEST_MEMBERS
from cucmd.service.access import RIGHTS, Right
from cucmweb.config import WebConfig
from cucmweb.operations import FOR_ANYBODY, MEDIA, OPERATIONS, OWN, Operation
from cucmweb.parameters import members

ROOT = Path(__file__).parents[2]
PAGES = sorted((*ROOT.glob("ctl/man/*.md"), *ROOT.glob("daemon/man/*.md")))
PART = re.compile(r"(<!-- made: ([\w-]+) -->\n)(.*?)(<!-- end -->)", re.DOTALL)
_FIELD = re.compile(r"    (\w+): [^=]*=[^#]*(?:# (.*))?")


def verb_part(verb: str) -> str:
    """Writes what the parser of a verb has: a sentence, its synopsis, examples, options, exits."""
    command = main.command_of(verb)
    parser = VerbParser(prog=f"cucmctl {verb}", add_help=False)
    command.declare(parser)
    sentence = re.split(r"(?<=\.)\s", command.summary, maxsplit=1)[0].replace("\n", " ")
    options = [
        f"- {_spelled(action)}: {(action.help or '') % _values(action)}"
        for action in parser._actions
        if action.help is not argparse.SUPPRESS
    ]
    block = f"{_synopsis(parser)}\n\n{textwrap.dedent(command.examples)}"
    parts = [sentence, f"```sh\n{block}\n```", *(["\n".join(options)] if options else [])]
    exits = " ".join(command.exits.split())
    return "\n\n".join([*parts, f"Exit codes: {exits}."]) + "\n"


def _synopsis(parser: VerbParser) -> str:
    if parser.usage is not None:
        return " ".join((parser.usage % {"prog": parser.prog}).split())
    words = [parser.prog]
    if parser._option_string_actions:
        words.append("[OPTIONS]")
    for action in parser._get_positional_actions():
        name = action.metavar or action.dest
        forms = {"?": f"[{name}]", "*": f"[{name} ...]", "+": f"{name} ..."}
        words.append(forms.get(str(action.nargs), str(name)))
    return " ".join(words)


def _values(action: argparse.Action) -> dict[str, object]:
    return {"default": action.default, "metavar": action.metavar, "prog": "cucmctl"}


def _spelled(action: argparse.Action) -> str:
    value = f" {action.metavar}" if action.metavar and action.nargs != 0 else ""
    if not action.option_strings:
        many = "..." if action.nargs in ("*", "+") else ""
        return f"`{action.metavar or action.dest}{many}`"
    return ", ".join(f"`{name}{value}`" for name in action.option_strings)


def _cell(text: str) -> str:
    return text.replace("|", "\\|")


def codes() -> str:
    """Lists each failure code: whether a retry can help without a change, and what to do."""
    rows = ["| code | again? | what to do |", "| --- | --- | --- |"]
    for code in Code:
        one = failure(code, "")
        rows.append(f"| `{code}` | {'yes' if one.retryable else 'no'} | {_cell(one.hint or '')} |")
    return "\n".join(rows) + "\n"


_EXIT = re.compile(r"((?:^# .*\n)+)^[A-Z_]+ = (\d+)\b", re.MULTILINE)


def exit_codes() -> str:
    """Lists each exit code of `cucmctl`, and what it means."""
    rows = ["| code | meaning |", "| --- | --- |"]
    said = _EXIT.findall(inspect.getsource(exits))
    assert {int(code) for _, code in said} == {
        value for name, value in vars(exits).items() if name.isupper() and isinstance(value, int)
    }, "one has no comment"
    for comment, code in said:
        meaning = " ".join(line.removeprefix("# ") for line in comment.splitlines())
        rows.append(f"| {code} | {_cell(meaning)} |")
    return "\n".join(rows) + "\n"


def kinds() -> str:
    """Lists the kinds of work: struct, member of `Start`, and what it asks for."""
    rows = ["| struct | member of `Start` | what is asked for |", "| --- | --- | --- |"]
    rows.append("| `Collection`, or `Files` around it | `collection` | What to collect |")
    for struct, member in REQUEST_MEMBERS.items():
        first = re.split(r"[.:;]", inspect.getdoc(struct) or "", maxsplit=1)[0]
        rows.append(f"| `{struct.__name__}` | `{member}` | {_cell(' '.join(first.split()))} |")
    return "\n".join(rows) + "\n"


def trio_methods() -> str:
    """Lists the methods of `cucmtrio.Client`, sorted by how they are called."""
    rows: dict[str, list[str]] = {}
    for name, method in _methods(cucmtrio.Client).items():
        form = "`async with`, then `async for`"
        if inspect.iscoroutinefunction(method):
            form = "`await`"
        elif inspect.isasyncgenfunction(
            inspect.unwrap(method)
        ):  # decorated with `asynccontextmanager`
            form = "`async with`"
        rows.setdefault(form, []).append(name)
    missing = _methods(cucmctl.Client).keys() - _methods(cucmtrio.Client).keys()
    rows["nothing of its own"] = sorted(missing)
    table = [
        f"| {form} | {', '.join(f'`{name}`' for name in names)} |" for form, names in rows.items()
    ]
    return "\n".join(["| called with | methods |", "| --- | --- |", *table]) + "\n"


def _methods(client: type) -> dict[str, Callable[..., object]]:
    return {name: method for name, method in vars(client).items() if name[0] != "_"}


def configuration() -> str:
    """Lists the keys of each section with their defaults, as TOML."""
    return _as_toml([*_sections(Config())])


def web_configuration() -> str:
    """Lists the keys of `cucmweb`, some of which are in no section."""
    config = WebConfig()
    return _as_toml([*_keys(config), "", *_sections(config)])


def _as_toml(lines: Sequence[str]) -> str:
    return "```toml\n" + "\n".join(lines).rstrip() + "\n```\n"


def _sections(config: msgspec.Struct) -> Iterator[str]:
    for section in config.__struct_fields__:
        value = getattr(config, section)
        if isinstance(value, msgspec.Struct):
            yield from (f"[{section}]", *_keys(value), "")


def _keys(section: msgspec.Struct) -> Iterator[str]:
    said = dict(_comments(type(section)))
    for key in section.__struct_fields__:
        if isinstance(getattr(section, key), msgspec.Struct | dict):
            continue
        value = _toml(getattr(section, key))
        comment = f"  # {said[key]}" if said.get(key) else ""
        yield f"{key} = {value}{comment}"


def _comments(struct: type[msgspec.Struct]) -> Iterator[tuple[str, str]]:
    for line in inspect.getsource(struct).splitlines():
        if found := _FIELD.fullmatch(line):
            yield found[1], found[2] or ""


def _toml(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int | float):
        return f"{value:_}" if isinstance(value, int) else f"{value:g}"
    if isinstance(value, tuple):
        return f"[{', '.join(map(_toml, value))}]"
    return f'"{"" if value is None else value}"'


def roles() -> str:
    """Lists who may call which method of the socket."""
    who = {
        Right.VIEW: "`cucm-view` too",
        Right.READ: "`cucm-view` too where `[access] view_reads_files = true`",
        Right.OPERATE: "`cucm`",
    }
    rows = ["| methods of the socket | who may call them |", "| --- | --- |"]
    for right, text in who.items():
        methods = (name for name, needed in RIGHTS.items() if needed is right and name[:3] != "Get")
        rows.append(f"| {', '.join(f'`{name}`' for name in methods)} | {text} |")
    return "\n".join(rows) + "\n"


def paths() -> str:
    """Lists each path of `cucmweb`: who may use it, what it takes and what it returns."""
    rows = ["| path | who | takes | gives |", "| --- | --- | --- | --- |"]
    rows += [f"| {' | '.join(map(_cell, _path(one)))} |" for one in OPERATIONS]
    for path, says in OWN.items():
        who = "anybody" if path in FOR_ANYBODY else "`view`"
        rows.append(f"| `GET {path}` | {who} | | {says} |")
    return "\n".join(rows) + "\n"


def _path(operation: Operation) -> tuple[str, str, str, str]:
    who = {Right.VIEW: "`view`", Right.READ: "`view`, if it may read files"}
    names = [f"`{name}`" for name in members(operation)]
    names += ["`Idempotency-Key`"] if operation.keyed else []
    names += ["`Last-Event-ID`"] if operation.form == "events" else []
    return (
        f"`{operation.verb} {operation.path}`",
        "`operate`" if operation.own else who.get(RIGHTS[operation.method], "`operate`"),
        ", ".join(names),
        f"{operation.summary} {_given(operation)}",
    )


def _given(operation: Operation) -> str:
    fields = {one.name: one.type for one in msgspec.structs.fields(operation.reply)}
    one = fields[operation.gives] if operation.gives else operation.reply
    kinds = [kind for kind in (typing.get_args(one) or (one,)) if isinstance(kind, type)]
    match operation.form:
        case "object":
            return f"`{kinds[0].__name__}`"
        case "list":
            return f"`{{{operation.gives}: [{kinds[0].__name__}, ...]}}`"
        case "lines":
            return f"`{kinds[0].__name__}`, one a line"
    return f"`{MEDIA[operation.form]}`"


FENCED = re.compile(r"^```(\w*)\n(.*?)^```$", re.DOTALL | re.MULTILINE)
_INDENTED = re.compile(r"^\n((?:    .*\n)+)", re.MULTILINE)


def fenced(page: Path) -> list[tuple[str, str]]:
    """Returns the fenced blocks of a page: the kind, such as `console`, and the text of each."""
    return FENCED.findall(page.read_text())


def unfenced(page: Path) -> str:
    """Returns the text of a page without its fenced blocks."""
    return FENCED.sub("", page.read_text())


def indented(page: Path) -> list[str]:
    """Returns the indented blocks of a page, which are lines to type."""
    return [textwrap.dedent(block) for block in _INDENTED.findall(unfenced(page))]


MADE: dict[str, Callable[[], str]] = {
    **{f"verb-{verb}": partial(verb_part, verb) for verb in main.VERBS},
    "codes": codes,
    "exit-codes": exit_codes,
    "kinds": kinds,
    "trio-methods": trio_methods,
    "configuration": configuration,
    "web-configuration": web_configuration,
    "roles": roles,
    "paths": paths,
}


def with_parts(text: str) -> str:
    """Returns the text of a page with each part made anew."""
    return PART.sub(lambda part: f"{part[1]}{MADE[part[2]]()}{part[4]}", text)


if __name__ == "__main__":
    for page in PAGES:
        page.write_text(with_parts(page.read_text()))
