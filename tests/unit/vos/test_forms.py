"""Which commands may be run: whole forms of one table, and nothing that could be joined to them."""

import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cucmd import vos
from cucmd.vos.forms import FORMS, Command, Form, Slot

NODES = Path(vos.__file__).parents[1] / "vos/NODES.md"
# Written by hand, from the request for them: no form is added by mistake.
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
    "show version inactive",
    "show network eth0",
    "show network eth0 detail",
    "show process load num all memory noidle",
    "show packages active *",
    "show packages active snmp",
    "file list activelog /cm/trace/ccm/sdl/* date reverse",
    "file list install *",
    "file search activelog syslog/CiscoSyslog ServerDown",
    "file search activelog cm/log/*.txt ^[Ee]rror.* ignorecase reltime hours 2",
    "show process using-most cpu",
    "show process using-most memory 20",
    "show cert list own",
    "show cert own tomcat",
    "show cert own CallManager-ECDSA/CallManager-ECDSA.pem",
    "utils network host _sip._tcp.lab.example srv",
    "utils network host 192.0.2.1 detail",
    "utils network ping cucm-sub1.lab.example",
    "utils network ping 192.0.2.1 10",
    "utils network ping 192.0.2.1 99 1472",
    "utils disaster_recovery history backup",
    "utils ha status DefaultCluster",
]
# One reference for each form, apart from the code that is tested: what a line of it looks like.
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


def test_the_forms_are_those_that_were_asked_for_and_no_other() -> None:
    assert {form.head for form in FORMS} == HEADS
    assert len(FORMS) == len(HEADS)
    assert {form.section for form in FORMS} <= sections()


def sections() -> set[str]:
    """Lists the numbers of the sections of vos/NODES.md, where the sources of the forms stand."""
    notes = NODES.read_text()
    return set(re.findall(r"^### (\d+\.\d+) ", notes, re.MULTILINE))


@pytest.mark.parametrize("form", FORMS, ids=lambda form: form.head)
def test_the_source_of_each_form_is_in_its_section(form: Form) -> None:
    notes = NODES.read_text()
    section = notes.partition(f"### {form.section} ")[2].partition("\n### ")[0]
    assert f"`{form.head}" in section


@pytest.mark.parametrize("line", ACCEPTED)
def test_a_command_is_typed_as_it_was_given(line: str) -> None:
    command = vos.parse_command(line)
    assert command.line == line
    assert is_of_a_form(line)


def test_each_form_has_its_own_time_limit() -> None:
    seconds = {form.head: vos.parse_command(typed(form)).seconds for form in FORMS}
    assert seconds["utils diagnose test"] > seconds["utils service list"] > seconds["show status"]
    assert all(20 < limit <= 1200 for limit in seconds.values())  # a session ends after 30 minutes


def typed(form: Form) -> str:
    samples = {"LOCATION": "activelog", "PATH": "syslog/*", "REGEX": "x", "NAME": "*"}
    samples |= {"CERTIFICATE": "tomcat", "HOST": "192.0.2.1"}
    return " ".join([form.head, *(samples[slot.name] for slot in form.slots)])


def test_blanks_between_the_words_do_not_count() -> None:
    assert vos.parse_command("  show   status ").line == "show status"


@pytest.mark.parametrize(
    "text",
    [
        # What is not in the table, though it begins like a form that is.
        "show",
        "show tech all",
        "show tech network all",
        "show fileserver transferspeed",
        "show diskusage activelog",
        "show ipsec information a b",
        "show process list file x",
        "show network all",
        "show network eth0 search x",
        "show process load cont",
        "show process load clear",
        "show process load page",
        "show key authz signing",
        "utils system restart",
        "utils service restart Cisco Tomcat",
        "utils service list page",
        "utils dbreplication reset all",
        "utils diagnose fix",
        "utils core active analyze x",
        "utils ntp restart",
        "file get activelog syslog/*",
        "file delete activelog x",
        "file view activelog x",
        "file tail activelog x",
        "file dump activelog x",
        "set cli pagination off",
        "run sql select 1",
        # The shell of the node takes these for forms.
        "sh status",
        "show stat",
        "sho status",
        "utils serv list",
        "Show status",
        "SHOW STATUS",
        # What could be joined to a form.
        "show status;utils system restart",
        "show status ; utils system restart",
        "show status | tee x",
        "show status > x",
        "show status & x",
        "show status && x",
        "show status $(x)",
        "show status `x`",
        "show status\nutils system restart",
        "show status\rutils system restart",
        "show status\x0butils system restart",
        "show status\t",
        "show sta\t",
        "show status ?",
        "show status?",
        "show status\x03",
        "show status\x1b[A",
        "show status\x00",
        "show status\x7f",
        "show\u00a0status",
        "show status\u2028x",
        "show st\u0430tus",  # a Cyrillic letter
        # Wrong arguments.
        "file list",
        "file list activelog",
        "file list tftp x",
        "file list activelog ../../etc/passwd",
        "file list activelog syslog/..",
        "file list activelog cm/*/sdl",
        "file list activelog -R",
        "file list activelog syslog/-R",
        "file list activelog syslog//x",
        "file list activelog x;y",
        "file list activelog x detail detail",
        "file list activelog x date size",
        "file list activelog x page",
        "file search activelog x",
        "file search activelog x -r",
        "file search activelog x a|b",
        "file search activelog x a b",
        "file search activelog x 'a'",
        'file search activelog x "a"',
        "file search activelog x a?",
        "file search activelog x a$",
        "file search activelog x a\\b",
        "file search activelog x (a)",
        "file search activelog x a reltime 2 hours",
        "file search activelog x a reltime hours",
        "file search activelog x a reltime hours 0",
        "file search activelog x a reltime hours 2 reltime hours 3",
        "show process load num",
        "show process load num -1",
        "show process load num 99999",
        "show process load cpu memory",
        "show packages active",
        "show packages active a b",
        "show packages active ../x",
        "show status " + "x" * 300,
        # The nearest to the forms that support asks for.
        "show process using-most",
        "show process using-most time",
        "show process using-most cpu 0",
        "show process using-most cpu 100",
        "show process using-most cpu file x",
        "show process using-most cpu 5 file x",
        "show process using-most memory file x",
        "show perf query class",
        "show perf query class Process",
        "show perf query class processor",
        'show perf query class "Cisco CallManager"',
        "show perf query class Processor|Memory",
        "show perf query class Processor Memory",
        "show cert list",
        "show cert list type own",
        "show cert trust tomcat",
        "show cert own",
        "show cert own *",
        "show cert own ../tomcat",
        "show cert own tomcat ipsec",
        "show csr own tomcat",
        "show cuc cluster",
        "show cuc version",
        "utils cuc cluster makeprimary",
        "utils core inactive analyze x",
        "utils core active list page",
        "utils core list",
        "utils network host",
        "utils network host a b",
        "utils network host a server b",
        "utils network host a detail detail",
        "utils network host -t",
        "utils network host a;b",
        "utils network ping",
        "utils network ping -f",
        "utils network ping 192.0.2.1 -f",
        "utils network ping 192.0.2.1 0",
        "utils network ping 192.0.2.1 100",
        "utils network ping 192.0.2.1 4 65507",
        "utils network ping 192.0.2.1 4 56 7",
        "utils network connectivity x",
        "utils network traceroute x",
        "utils ntp server",
        "utils ntp server add x",
        "utils ntp server delete",
        "utils ntp server list x",
        "utils disaster_recovery history",
        "utils disaster_recovery history restore",
        "utils disaster_recovery history backup x",
        "utils disaster_recovery status restore",
        "utils disaster_recovery cancel_backup",
        "utils disaster_recovery backup network UCM x",
        "utils system upgrade",
        "utils system upgrade initiate",
        "utils system upgrade cancel",
        "utils system upgrade status x",
        "utils imdb_replication",
        "utils imdb_replication start",
        "utils ha failover x",
        "utils ha status a b",
        "utils ha status *",
        "",
        "   ",
    ],
)
def test_anything_else_is_refused(text: str) -> None:
    with pytest.raises(vos.InvalidArgument) as refused:
        vos.parse_command(text)
    assert refused.value.field == "command"


def test_a_refusal_names_what_is_near() -> None:
    with pytest.raises(vos.InvalidArgument, match="show status"):
        vos.parse_command("show statsu")
    with pytest.raises(vos.InvalidArgument, match=r"file search LOCATION PATH REGEX \[reltime"):
        vos.parse_command("file search activelog x")


_PIECES = st.sampled_from(
    [
        *(word for head in sorted(HEADS) for word in head.split()),
        *("detail", "num", "5", "all", "cpu", "memory", "reltime", "hours", "2", "ignorecase"),
        *("srv", "tomcat/tomcat.pem", "192.0.2.1", "99", "100", "9999"),
        *(
            "activelog",
            "syslog/*",
            "x",
            "*",
            "..",
            "a/../b",
            "-r",
            "page",
            "file",
            "cont",
            "search",
        ),
        *(
            ";",
            "|",
            "?",
            "\t",
            "\n",
            "\r",
            "\x03",
            "$(x)",
            "`x`",
            "&",
            ">",
            "'",
            '"',
            "\\",
            "\u00a0",
        ),
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
def test_whatever_is_accepted_is_a_line_of_a_known_form(text: str) -> None:
    try:
        command = vos.parse_command(text)
    except vos.InvalidArgument:
        return
    assert is_of_a_form(command.line)
    assert command.line.split(" ") == text.split()
    assert vos.parse_command(command.line) == command
    cli = vos.Cli()  # which checks what it types as well
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
def test_every_line_of_a_form_is_accepted(data: st.DataObject) -> None:
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
