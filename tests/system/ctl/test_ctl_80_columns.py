"""What a person sees of clusters, sizes and commands on a terminal of 80 columns."""

import threading

import pytest

PUB = "cucm-pub.telephony.example.org"
SUBS = [f"cucm-sub{number}.telephony.example.org" for number in (1, 2)]
LOGIN = ("--user", "administrator")


def member(node, role="Subscriber", product="callmanager"):
    name = node.partition(".")[0]
    return {
        "node": node,
        "address": "192.168.100.101",
        "name": name,
        "role": role,
        "product": product,
    }


FOUND = {
    "members": [member(SUBS[0]), member(SUBS[1], product="cups"), member(PUB, "Publisher")],
    "unread": [],
    "version": "15.0.1.11900-23",
}
PROFILE = {
    "name": "callmanager",
    "description": "calls that fail, are cut off or have no voice, and registrations that are lost",
    "paths": ["cm/trace/ccm/sdl"],
    "location": "activelog",
    "recurs": True,
    "compress": False,
    "products": ["Unified CM", "IM and Presence"],
}


def clean(screen, *, wide=()):
    """Returns the lines. None is wider than the terminal, but those that begin with one of `wide`:
    texts of people, which the terminal breaks. Nothing is left of what was set up.
    """
    assert screen.unknown == []
    assert screen.cursor_shown
    assert screen.settings == screen.before
    lines = [line.rstrip() for line in screen.screen.splitlines()]
    too_wide = [line for line in lines if len(line) > 80]
    assert [line for line in too_wide if not line.startswith(("cucmctl: ", *wide))] == []
    return lines


def with_password(screen):
    screen.until("Password of administrator")
    screen.type("secret\r")
    return screen


def test_discover(canned, terminal, node, job):
    begun = job("running", node(PUB, "running"), kind="discover")
    canned.on("Start:discovery", canned.reply({"job": begun}))
    canned.watch(begun, job("succeeded", node(PUB, found=FOUND), kind="discover"))
    screen = with_password(terminal("discover", PUB, *LOGIN))
    assert screen.ended() == 0
    *_, heading, first, second, third, version = clean(screen)
    assert heading.split() == ["NODE", "NAME", "ROLE", "PRODUCT", "ADDRESS"]
    assert [line.split()[1] for line in (first, second, third)] == [
        "cucm-pub",
        "cucm-sub1",
        "cucm-sub2",
    ]
    assert {line.split()[-1] for line in (first, second, third)} == {"192.168.100.101"}
    assert "…" in first, "the name is cut"
    assert version == "version 15.0.1.11900-23"


def test_clusters_and_one_of_them(canned, terminal):
    berlin = {
        **{"nodes_total": 3, "nodes_configured": 2, "name": "berlin", "publisher": PUB},
        **{"asked": PUB, "discovered_at": "2026-03-01T08:00:00Z", "version": "15.0.1.11900-23"},
    }
    nodes = [
        {"node": PUB, "configured": True, "member": member(PUB, "Publisher")},
        {"node": SUBS[0], "configured": True},
        {"node": SUBS[1], "configured": False, "member": member(SUBS[1], product="cups")},
    ]
    canned.on("Clusters", canned.reply({"clusters": [berlin]}))
    listed = terminal("clusters")
    assert listed.ended() == 0
    assert clean(listed)[1].split()[:3] == ["berlin", PUB, "2/3"]
    canned.on("Clusters", canned.reply({"clusters": [{**berlin, "nodes": nodes}]}))
    one = terminal("clusters", "berlin")
    assert one.ended() == 0
    lines = clean(one, wide=["as "])
    assert lines[0] == "cluster berlin: 3 nodes"
    assert lines[-2].endswith("was not named")
    assert lines[-1].endswith("not in the configuration")


def test_profiles_and_one_of_them(canned, terminal):
    canned.on("Profiles", canned.reply({"profiles": [PROFILE]}))
    listed = terminal("profiles")
    assert listed.ended() == 0
    heading, row = clean(listed)
    assert heading.split()[:3] == ["PROFILE", "LAST", "FOR"]
    assert (len(row), row[-1]) == (80, "…")
    one = terminal("profiles", "callmanager")
    assert one.ended() == 0
    assert "  activelog cm/trace/ccm/sdl" in clean(one, wide=["profile callmanager: "])


def sized(*names, seconds):
    paths = ["cm/trace/ccm/sdl", "cm/trace/ccm/calllogs", "syslog/CiscoSyslog"]
    return {
        "paths": [{"path": path, "files": 120, "bytes": 654_300_000} for path in paths],
        "room": 10**12,
        "fits": True,
        "seconds": seconds,
    }


def test_the_sizes_of_a_dry_run(canned, terminal, node, job):
    begun = job("running", node(PUB, "running"), kind="dry_run")
    canned.on("Start", canned.reply({"job": begun}))
    nodes = [
        node(name, sizes=sized(seconds=seconds)) for name, seconds in ((PUB, 654), (SUBS[0], 90))
    ]
    canned.watch(begun, job("succeeded", *nodes, kind="dry_run", concurrency=8))
    asked = ("start", PUB, SUBS[0], "--path", "x", "--dry-run", *LOGIN)
    screen = with_password(terminal(*asked))
    assert screen.ended() == 0
    *_, heading, first, _, _, sum_, fourth, _, _, _, total, fits = clean(screen)
    assert heading.split() == ["NODE", "PATH", "FILES", "SIZE", "TIME"]
    assert first.split()[-4:] == ["120", "654.3", "MB", "3m38s"]
    assert sum_.split()[-5:] == ["(all)", "360", "2.0", "GB", "10m54s"]
    assert fourth.split()[-1] == "30s"
    assert total.split() == ["total", "720", "3.9", "GB", "10m54s"]
    assert fits.startswith("each node fits")


def output(name, number, text):
    command = "show status" if number == 1 else "utils service list"
    values = {"node": name, "number": number, "command": command, "text": text}
    return {"output": {**values, "ended": True, "complete": True}}


@pytest.fixture
def running(canned, node, job):
    """A job whose node has printed one output, and prints another after `go_on`."""
    commands = {"kind": "run", "commands": ["show status", "utils service list"]}
    go_on = threading.Event()
    begun = job("running", node(PUB, "running", files_received=0, bytes_received=0), **commands)
    half = job("running", node(PUB, "running", files_received=1, bytes_received=90), **commands)
    ended = job("succeeded", node(PUB, files_received=2, bytes_received=120), **commands)
    canned.on("Start:commands", canned.reply({"job": begun}))
    changes = [
        {"sequence": n, "missed": 0, "job": one} for n, one in enumerate((begun, half, ended))
    ]
    canned.on(
        "Watch",
        *(canned.reply(one, continues=True) for one in changes[:2]),
        go_on,
        canned.reply(changes[2]),
    )
    first = output(PUB, 1, "Host Name : pub\n\x1b]0;mine\x07\tTotal\n")
    second = output(PUB, 2, "Cisco Tomcat[STARTED]\n")
    end = canned.reply({"output": None})
    canned.on_each(
        "Output",
        (canned.reply(first, continues=True), end),
        (canned.reply(first, continues=True), canned.reply(second, continues=True), end),
    )
    return go_on


RUN = ("run", PUB, *LOGIN, "--", "show status", "--then", "utils service list")


def test_what_commands_print_is_seen_as_it_comes(terminal, running):
    screen = with_password(terminal(*RUN))
    screen.until("Total")
    seen = clean_so_far(screen)
    assert f"=== {PUB}: show status" in seen
    assert "utils service list" not in " ".join(seen)
    running.set()
    assert screen.ended() == 0
    lines = clean(screen)
    assert lines.count(f"=== {PUB}: show status") == 1
    assert lines.count(f"=== {PUB}: utils service list") == 1
    assert "\\x1b]0;mine\\x07\\tTotal" in lines, "a node does not steer the terminal"
    assert "Cisco Tomcat[STARTED]" in lines
    assert lines[-1].startswith("job 3f2a00112233 succeeded: ")


def clean_so_far(screen):
    assert screen.unknown == []
    return [line.rstrip() for line in screen.screen.splitlines()]


def test_ctrl_c_leaves_the_commands_running(terminal, running):
    screen = with_password(terminal(*RUN))
    screen.until("Total\n")
    screen.interrupt()
    assert screen.ended() == 130
    running.set()
    assert "job 3f2a00112233 goes on" in " ".join(clean(screen))
