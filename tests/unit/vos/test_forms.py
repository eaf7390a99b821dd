"""The commands that may be run: the forms of the table, and nothing that is joined to them."""

import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cucmd import vos
from cucmd.vos.forms import FORMS, TAILS, Command, Form, Slot

NODES = Path(vos.__file__).parents[1] / "vos/NODES.md"
# Written by hand, so that no form is added by mistake.
HEADS = {
    *("show version active", "show version inactive", "show status", "show network cluster"),
    *("show network eth0", "show network route", "show hardware", "show process load"),
    *("show memory count", "show memory modules", "show memory size", "show packages active"),
    *("show timezone config", "show date", "file list", "file search", "utils service list"),
    *("utils ntp status", "utils dbreplication runtimestate", "utils diagnose test"),
    *("utils core active list", "utils core inactive list"),
    *("show process using-most cpu", "show process using-most memory"),
    *("show perf query class Processor", "show perf query class Memory"),
    *("show cert list own", "show cert list trust", "show cert own", "show cuc cluster status"),
    *("utils network host", "utils network ping", "utils ntp server list"),
    *("utils disaster_recovery history backup", "utils disaster_recovery status backup"),
    *("utils system upgrade status", "utils imdb_replication status", "utils ha status"),
}
ACCEPTED = [
    "show status",
    "show network eth0 detail",
    "show process load num all memory noidle",
    "show packages active *",
    "file list activelog /cm/trace/ccm/sdl/* date reverse",
    "file list install *",
    "file search activelog cm/log/*.txt ^[Ee]rror.* ignorecase reltime hours 2",
    "show process using-most memory 20",
    "show cert own CallManager-ECDSA/CallManager-ECDSA.pem",
    "utils network host _sip._tcp.lab.example srv",
    "utils network ping cucm-sub1.lab.example",
    "utils network ping 192.0.2.1 99 1472",
    "utils ha status DefaultCluster",
]
# What a line of each form looks like, written independently of the code that is tested.
WORD = r"[A-Za-z0-9_./*+-]+"
SHAPES = {
    "show network eth0": r"( detail)?",
    "show process load": r"( noidle| num (all|[1-9]\d{0,3})| thread| cpu| memory| time)*",
    "show process using-most cpu": r"( [1-9]\d?)?",
    "show process using-most memory": r"( [1-9]\d?)?",
    "show cert own": r" /?[A-Za-z0-9_.][A-Za-z0-9_./+-]*",
    "utils ha status": r"( [A-Za-z0-9][A-Za-z0-9_.-]*)?",
    "utils network host": r" [A-Za-z0-9_][A-Za-z0-9._-]*( detail| srv)*",
    "utils network ping": r" [A-Za-z0-9_][A-Za-z0-9._-]*( [1-9]\d?( [1-9]\d{0,3})?)?",
    "show packages active": r" (\*|[A-Za-z0-9][A-Za-z0-9_.+-]*)",
    "file list": rf" (activelog|inactivelog|install) {WORD}( detail| reverse| date| size)*",
    "file search": rf" (activelog|inactivelog|install) {WORD} [A-Za-z0-9_.:,=/@%+*^\[\]-]+"
    r"( reltime (minutes|hours|days) [1-9]\d{0,3}| ignorecase)*",
}


def is_of_a_form(line: str) -> bool:
    return any(re.fullmatch(re.escape(head) + SHAPES.get(head, ""), line) for head in HEADS)


def test_table_has_expected_forms() -> None:
    assert {form.head for form in FORMS} == HEADS
    assert len(FORMS) == len(HEADS)
    assert {form.section for form in FORMS} <= sections()


def sections() -> set[str]:
    """Returns the numbers of the sections of vos/NODES.md."""
    notes = NODES.read_text()
    return set(re.findall(r"^### (\d+\.\d+) ", notes, re.MULTILINE))


@pytest.mark.parametrize("form", [*FORMS, *TAILS], ids=lambda form: form.usage)
def test_source_is_in_named_section(form: Form) -> None:
    notes = NODES.read_text()
    section = notes.partition(f"### {form.section} ")[2].partition("\n### ")[0]
    assert f"`{form.head}" in section


@pytest.mark.parametrize("line", ACCEPTED)
def test_accepts_command(line: str) -> None:
    assert vos.parse_command(f"  {line.replace(' ', '  ')} ").line == line
    assert is_of_a_form(line)


@pytest.mark.parametrize(
    "text",
    [
        # Commands that write, act, never end or print a secret, though they begin like a form.
        "show",
        "show tech all",
        "show fileserver transferspeed",
        "show process list file x",
        "show process load cont",
        "show process using-most cpu file x",
        "show cert list",
        "show key authz signing",
        "utils system restart",
        "utils system upgrade initiate",
        "utils service list page",
        "utils ntp server add x",
        "utils disaster_recovery history restore",
        "utils core active analyze x",
        "utils ha failover x",
        "file get activelog syslog/*",
        "file delete activelog x",
        "file tail activelog x",
        "utils network capture eth0",
        "set cli pagination off",
        "run sql select 1",
        # Abbreviations, which the node's own shell accepts.
        "sh status",
        "show stat",
        "SHOW STATUS",
        # Something that is joined to a form.
        "show status;utils system restart",
        "show status ; utils system restart",
        "show status | tee x",
        "show status $(x)",
        "show status\nutils system restart",
        "show status\rutils system restart",
        "show status\t",
        "show status?",
        "show status\x1b[A",
        "show\u00a0status",
        "show st\u0430tus",  # a Cyrillic letter
        # Wrong arguments.
        "file list",
        "file list tftp x",
        "file list activelog ../../etc/passwd",
        "file list activelog cm/*/sdl",
        "file list activelog syslog/-R",
        "file list activelog syslog//x",
        "file list activelog x detail detail",
        "file list activelog x date size",
        "file search activelog x",
        "file search activelog x -r",
        "file search activelog x a|b",
        "file search activelog x a b",
        "file search activelog x a reltime hours",
        "file search activelog x a reltime hours 0",
        "show process load num",
        "show process load num 99999",
        "show process load cpu memory",
        "show packages active ../x",
        "show process using-most cpu 100",
        "show perf query class Process",
        "show cert own *",
        "utils network host -t",
        "utils network ping 192.0.2.1 100",
        "utils network ping 192.0.2.1 4 56 7",
        "utils ha status a b",
        "show status " + "x" * 300,
        "",
        "   ",
    ],
)
def test_refuses_command(text: str) -> None:
    with pytest.raises(vos.InvalidArgument) as refused:
        vos.parse_command(text)
    assert refused.value.field == "command"


def test_refusal_names_similar_command() -> None:
    with pytest.raises(vos.InvalidArgument, match="show status"):
        vos.parse_command("show statsu")
    with pytest.raises(vos.InvalidArgument, match=r"file search LOCATION PATH REGEX \[reltime"):
        vos.parse_command("file search activelog x")


_PIECES = st.sampled_from(
    [
        *(word for head in sorted(HEADS) for word in head.split()),
        *("detail", "num", "5", "all", "cpu", "memory", "reltime", "hours", "2", "ignorecase"),
        *("srv", "tomcat/tomcat.pem", "192.0.2.1", "99", "100", "9999", "activelog", "syslog/*"),
        *("x", "*", "..", "a/../b", "-r", "page", "file", "cont", "search", ";", "|", "?", "\t"),
        *("\n", "\r", "\x03", "$(x)", "`x`", "&", ">", "'", '"', "\\", "\u00a0"),
    ]
)
_TEXTS = st.one_of(
    st.text(max_size=60),
    st.lists(_PIECES, max_size=9).map(" ".join),
    st.lists(_PIECES, max_size=9).map("".join),
    st.tuples(st.sampled_from(ACCEPTED), st.text(max_size=8)).map("".join),
    st.tuples(st.sampled_from(ACCEPTED), _PIECES, _PIECES).map(" ".join),
)


@given(_TEXTS)
def test_accepted_lines_have_known_form(text: str) -> None:
    try:
        command = vos.parse_command(text)
    except vos.InvalidArgument:
        return
    assert is_of_a_form(command.line)
    assert command.line.split(" ") == text.split()
    assert vos.parse_command(command.line) == command
    cli = vos.Cli()  # checks the line too
    cli.receive(b"admin:")
    cli.quiet()
    assert cli.command(command.line) == f"{command.line}\r".encode()


def _values(slot: Slot) -> st.SearchStrategy[str]:
    return {
        "LOCATION": st.sampled_from(["activelog", "inactivelog", "install"]),
        "PATH": st.sampled_from(["syslog/*", "/cm/trace/", "a", "*", "x.y/z-1_2+3"]),
        "REGEX": st.sampled_from(["x", "[Ee]rr.*", "^a", "a=b", "..", "reltime", "%2@a,b:c"]),
        "NAME": st.sampled_from(["*", "snmp", "a.b-c_d+e"]),
        "UNIT": st.sampled_from(["minutes", "hours", "days"]),
        "CERTIFICATE": st.sampled_from(["tomcat", "CAPF/CAPF.pem", "a-b_c.d/e+f"]),
        "HOST": st.sampled_from(["192.0.2.1", "cucm-pub", "_sip._udp.a.example", "x"]),
        "GROUP": st.sampled_from(["DefaultCluster", "a.b-c_d"]),
        "COUNT": st.integers(1, 99).map(str),
        "SIZE": st.integers(1, 9999).map(str),
        "N": st.integers(1, 99 if slot.accepts("100") is None else 9999).map(str),
    }[slot.name]


@given(st.data())
def test_accepts_every_line_of_form(data: st.DataObject) -> None:
    form = data.draw(st.sampled_from(FORMS))
    words = [form.head, *(data.draw(_values(slot)) for slot in form.slots)]
    words += [data.draw(_values(slot)) for slot in form.more[: data.draw(st.integers(0, 2))]]
    groups: set[str] = set()
    for option in data.draw(st.permutations(form.options)) if form.options else ():
        if data.draw(st.booleans()) and (not option.group or option.group not in groups):
            groups.add(option.group)
            words += [option.keyword, *(data.draw(_values(slot)) for slot in option.slots)]
    line = " ".join(words)
    assert vos.parse_command(line) == Command(line, form.seconds, form.parser)
