"""Arguments of the verbs that start a job: their requests, and wrong usage of all verbs."""

from datetime import UTC, datetime, timedelta

import msgspec
import pytest

from cucmctl.cli.options import UsageError
from cucmctl.client.named_work import named_work, start_command
from cucmd.job.work import REQUEST_MEMBERS, StartRequest, make_start_request
from cucmd.job.work_request import How, Login

HOW = ("--connect-timeout", "1", "--login-timeout", "2", "--label", "case=1", "--credential", "lab")
MANY = (*HOW, "--node-timeout", "5", "--job-timeout", "6", "--concurrency", "3")
ALL = (*MANY, "--try-all", "--accept-nodes")
TRANSFER = ("--answer-timeout", "2.5", "--command-timeout", "3", "--stall-timeout", "4")
LOGIN = {"login": {"credential": "lab"}, "labels": {"case": "1"}}
FIELDS = {**LOGIN, "concurrency": 3, "try_all": True, "accept_nodes": True}
FIRST = {"connect": 1.0, "login": 2.0}
TIMES = {**FIRST, "node": 5.0, "job": 6.0}
ALL_TIMES = {**TIMES, "answer": 2.5, "command": 3.0, "stall": 4.0}
LAB = ("--credential", "lab")
PLAIN = {"nodes": ["a"], "login": {"credential": "lab"}}

# A verb and its arguments -> the work that is started, and the request.
REQUESTS = [
    (
        "start a b:2222 --profile callmanager --since 2026-03-01T09:00:00+01:00 --match SDL.*"
        " --recurs --no-compress --location inactivelog --only sdl,syslog --no-snapshot"
        " --written-for 6h",
        (*ALL, *TRANSFER, "--until", "2026-03-01 09:30"),
        "",
        {
            **FIELDS,
            "nodes": ["a", "b:2222"],
            "timeouts": ALL_TIMES,
            "only": ["sdl", "syslog"],
            "snapshot": False,
            "written_for": "6h",
            "collection": {
                "profile": "callmanager",
                "location": "inactivelog",
                "match": "SDL.*",
                "recurs": True,
                "compress": False,
                "since": "2026-03-01T08:00:00Z",
                "until": "2026-03-01T09:30:00Z",
            },
        },
    ),
    (
        "capture a --host 10.20.0.1 --port 5060 --count 500 --size 128 --duration 1m30s"
        " --interface eth1 --delete",
        (*ALL, *TRANSFER),
        "capture",
        {
            **FIELDS,
            "nodes": ["a"],
            "timeouts": ALL_TIMES,
            "capture": {
                **{"interface": "eth1", "host": "10.20.0.1", "port": 5060, "count": 500},
                **{"size": 128, "duration": 90.0, "delete": True},
            },
        },
    ),
    (
        "check a --receiver",
        (*ALL, *TRANSFER),
        "check",
        {**FIELDS, "nodes": ["a"], "timeouts": ALL_TIMES, "check": {"receiver": True}},
    ),
    (
        "follow a syslog --recent --regexp SIP.*INVITE --duration 1m30s",
        (*ALL, "--answer-timeout", "2.5"),
        "follow",
        {
            **FIELDS,
            "nodes": ["a"],
            "timeouts": {**TIMES, "answer": 2.5},
            "follow": {"path": "syslog", "recent": True, "regexp": "SIP.*INVITE", "duration": 90.0},
        },
    ),
    (
        "run a",
        (*ALL, "--command-timeout", "3", "--", "show", "status", "--then", "show --json --help"),
        "commands",
        {
            **FIELDS,
            "nodes": ["a"],
            "timeouts": {**TIMES, "command": 3.0},
            "commands": {"lines": ["show status", "show --json --help"]},
        },
    ),
    (
        "discover a",
        (*HOW, "--answer-timeout", "2.5"),
        "discovery",
        {**LOGIN, "nodes": ["a"], "timeouts": {**FIRST, "answer": 2.5}, "discovery": {}},
    ),
    # What is not given is not sent.
    ("capture a --size all", LAB, "capture", {**PLAIN, "capture": {}}),
    ("check a", LAB, "check", {**PLAIN, "check": {}}),
    ("follow a x/y", LAB, "follow", {**PLAIN, "follow": {"path": "x/y"}}),
    ("start a --path x --path y --last 2h", LAB, "",
     {**PLAIN, "collection": {"paths": ["x", "y"], "last": "2h"}}),
    ("start a --snapshot --profile p --path core activelog /cm/x y install", LAB, "",
     {**PLAIN, "snapshot": True, "collection": {"profile": "p"},
      "added_paths": ["core", "activelog /cm/x", "y", "install"]}),
    ("start a --path x --user u", LAB, "",
     {**PLAIN, "login": {"credential": "lab", "username": "u"}, "collection": {"paths": ["x"]}}),
    ("start u@a --path x", LAB, "",
     {**PLAIN, "login": {"credential": "lab", "username": "u"}, "collection": {"paths": ["x"]}}),
]  # fmt: skip  # the short rows stay short


@pytest.mark.parametrize(
    ("words", "more", "work", "request_"), REQUESTS, ids=[row[0] for row in REQUESTS]
)
def test_arguments_make_the_request(canned, ctl, job, words, more, work, request_):
    method = f"Start:{work}" if work else "Start"
    kind = {"commands": "run", "discovery": "discover", "": "collect"}.get(work, work)
    canned.on(method, canned.reply({"job": job("running", kind=kind)}))
    canned.on("Output", canned.reply({"output": None}))
    canned.watch(job(kind=kind))
    assert ctl(*words.split(), *more).returncode == 0
    (sent,) = (parameters for called, parameters in canned.calls if called == method)
    assert sent.pop("start_key")
    assert sent == request_


WINDOW = {"since": "2026-03-01T08:00:00Z", "until": "2026-03-01T09:30:00Z"}


@pytest.mark.parametrize(
    ("kind", "values"),
    [
        ("collect", {"profile": "p", "paths": ("core", "x y"), **WINDOW}),
        ("dry_run", {"paths": ("x",), "last": "2h"}),
        ("check", {}),
        ("health", {}),
        ("run", {"commands": ("show status", "utils ntp status")}),
        ("discover", {}),
        ("capture", {"host": "10.20.0.1", "port": 5060, "duration": 90}),
    ],
)
def test_written_command_starts_the_same(canned, ctl, job, kind, values):
    request = make_start_request(("a",), Login(credential="lab"), named_work(kind, **values), How())
    for method in ("Start", *(f"Start:{work}" for work in REQUEST_MEMBERS.values())):
        canned.on(method, canned.reply({"job": job("running", kind=kind)}))
    canned.on("Output", canned.reply({"output": None}))
    canned.watch(job(kind=kind))
    ctl(*start_command(kind, ("a",), "lab", **values))
    [sent] = (parameters for method, parameters in canned.calls if method.startswith("Start"))
    assert msgspec.structs.replace(msgspec.convert(sent, StartRequest), start_key=None) == request


@pytest.mark.parametrize(
    ("kind", "values"),
    [("check", {"duration": 5}), ("run", {}), ("health", {"last": "2h"}), ("collect", {"port": 1})],
)
def test_values_of_other_kinds_are_refused(kind, values):
    with pytest.raises(UsageError, match=kind):
        named_work(kind, **values)


def test_commands_come_from_a_file(canned, ctl, job, tmp_path):
    canned.on("Start:commands", canned.reply({"job": job("running", kind="run")}))
    canned.watch(job(kind="run"))
    canned.on("Output", canned.reply({"output": None}))
    (tmp_path / "c").write_text("# what anybody does first\nshow status\n\nutils ntp status # x\n")
    assert ctl("run", "a", *LAB, "--file", str(tmp_path / "c")).returncode == 0
    (sent,) = (asked for method, asked in canned.calls if method == "Start:commands")
    assert sent["commands"] == {"lines": ["show status", "utils ntp status"]}


def test_until_without_day_follows_since(canned, ctl, job):
    """`--since -1h --until 00:00` works at any time of the day."""
    canned.on("Start", canned.reply({"job": job("running")}))
    for since, until in (("-20h", "12:00"), ("-3h", "00:00"), ("yesterday 22:00", "06:00")):
        done = ctl("start", "a", "--path", "x", *LAB, "--since", since, "--until", until)
        assert done.stderr.startswith("cucmctl: window  ")
        collection = canned.calls[-1][1]["collection"]
        assert collection["since"] < collection["until"]


@pytest.mark.parametrize("until", ["09:00", "23:59"])
def test_end_before_beginning_is_refused(ctl, until):
    """The times are of today: it is past noon in this time zone, and 23:59 is still to come."""
    zone = f"NOON{datetime.now(UTC).hour - 12:+d}"
    done = ctl("start", "a", "--path", "x", "--since", "10:00", "--until", until, TZ=zone)
    assert done.returncode == 2
    today = f"{datetime.now(UTC) + timedelta(hours=12 - datetime.now(UTC).hour):%Y-%m-%d}"
    for time in (until, "10:00"):
        assert f"{today} {time}:00 NOON" in done.stderr


# Wrong usage, and what the message begins with.
USAGE = [
    ("", "no verb was given; expected one of start, retry,"),
    ("sttus", "'sttus' is not a verb; did you mean status?"),
    ("logs 3f2a", "'logs' is not a verb; cucmctl transcript"),
    ("frobnicate", "'frobnicate' is not a verb; cucmctl --help"),
    (
        "--sockt x list",
        "--sockt: no such option before the verb; expected --socket PATH, --site SITE or",
    ),
    ("--socket /x --jsn list", "--jsn: no such option; did you mean --json? (see"),
    ("list --limit 0", "--limit: '0' is not a whole number from 1 up (see"),
    ("list --status done", "--status: invalid choice: 'done' (choose from"),
    ("wait 3f2a --timeout -1", "--timeout: '-1' is not a positive number of seconds (at most"),
    ("wait 3f2a --reconnect=-1", "--reconnect: '-1' is not"),
    ("wait", "JOB is missing (see cucmctl wait --help)"),
    ("start --credential c --path a", "NODE is missing; nodes go before --path (see"),
    ("status a b", "'b' is one argument too many (see"),
    ("start n --last 2x", "--last: '2x': expected a duration such as"),
    ("start n --written-for 2x", "--written-for: '2x': expected a duration such as"),
    ("start n --since soon", "--since: 'soon' is not a time; expected local"),
    ("start n --since today --until yesterday --path x", "--until: "),
    ("start n --until 2026-03-01T08:00Z", "--until: needs --since, the time to begin at"),
    ("start a@n -u b --path x", "a@n: this is another user than 'b'; give one user"),
    ("start n --profile -sdl", "--profile: expected a value, but '-sdl' begins with '-'"),
    ("start n --profile --watch", "--profile: expected a value before '--watch' (see"),
    ("start n --watch --path", "--path: expected a value (see cucmctl start --help)"),
    ("start n --path a --only sdl", "--only: needs --profile, whose paths it chooses from"),
    ("start n --profile a --only sdl,,x", "--only: 'sdl,,x': expected NAME,NAME"),
    ("start n --last 1h --since 2026-03-01T08:00Z", "--since: not allowed with argument"),
    ("start n --wait --watch", "--watch: not allowed with argument --wait"),
    ("start n --user u", "nothing to collect: give --profile or --path"),
    ("start n --path x --password-file -", "--password-file: needs --user, whose password it is"),
    ("start n --path x --user=", "--user: '' is empty; expected the platform administrator's"),
    ("start n --path a 127.0.0.2:22 --wait", "--path: '127.0.0.2:22' looks like a node; nodes"),
    ("start n --profile a --profile b", "--profile: was given twice, 'a' and 'b'; expected"),
    ("start a --cluster-of b --path x", "--cluster-of: cannot be combined with nodes; give one"),
    ("hostkeys add", "NODE: none was given; expected the node whose key to add"),
    ("hostkeys list ccm-pub", "NODE: 'ccm-pub' was given, but list shows the keys of all"),
    ("hostkeys forget ccm-pub --key x", "--key: goes with add, not with forget"),
    ("metrics -o x --json", "--json: cannot be combined with --output; give one of them"),
    ("run a", "no command was given; expected -- and a command, as in -- show status"),
    ("run a -- show status --then", "--then: expected a command on both sides of it"),
    ("run a --file /nowhere", "--file: /nowhere: No such file or directory"),
    ("run a --file /dev/null", "--file: /dev/null: has no command"),
    ("run a --file x -- show status", "--file: cannot be combined with commands after --"),
    ("run a --file - --user u --password-file -", "--file and --password-file: only one of"),
    ("follow a", "TARGET or PATH is missing"),
    ("follow a x --duration 1x", "--duration: '1x' is not a time such as 60s, 2m, 1m30s"),
    ("capture a --port sip", "--port: 'sip' is not a whole number from 1 up"),
    ("discover pub --save a/b", "--save: 'a/b' is not a cluster name; expected letters"),
    ("discover pub --save x --json", "--save: cannot be combined with --json"),
    ("delete 3f2a", "--yes: needed without a terminal"),
    ("prune", "none of --older-than, --keep, --larger-than and --label was given"),
    ("prune --keep 3", "--yes: needed without a terminal"),
    ("prune --larger-than 10X", "--larger-than: '10X' is not a size; expected one such as"),
    ("prune --label case", "--label: 'case': expected KEY=VALUE"),
    ("start n --path x --user u --label case=\udcff", r"--label: '\udcff' is not UTF-8"),
    ("start n --profile x --only a,\udcff", r"--only: '\udcff' is not UTF-8"),
    ("label 3f2a \udcff=1", r"KEY=VALUE: '\udcff' is not UTF-8"),
    ("run n -- show \udcff", r"COMMAND: '\udcff' is not UTF-8"),
]


@pytest.mark.parametrize(("arguments", "text"), USAGE)
def test_wrong_usage_is_explained(canned, ctl, arguments, text):
    done = ctl(*arguments.split())
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith(f"cucmctl: {text}")
    assert done.stderr.count("\n") == 1
    assert canned.calls == []
