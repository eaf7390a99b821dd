"""`clusters`, `profiles`, `credentials`, `hostkeys`, `reload`, `label`, `stop` and `cancel`:
how their replies are printed.
"""

import json

import pytest

BERLIN = {
    "nodes_total": 3,
    "nodes_configured": 2,
    "name": "berlin",
    "publisher": "pub",
    "asked": "pub",
    "discovered_at": "2026-03-01T08:00:00Z",
    "version": "15.0.1",
}
BERN = {"nodes_total": 1, "nodes_configured": 1, "name": "bern"}
MEMBER = {
    **{"node": "10.0.0.2", "address": "10.0.0.2", "name": "imp1", "role": "Subscriber"},
    **{"product": "cups", "unauthenticated": "not authenticated - INITIATOR"},
}
NODES = [
    {"node": "pub", "configured": True},
    {"node": "10.0.0.2", "configured": False, "member": MEMBER},
]
PROFILE = {
    "name": "callmanager",
    "description": "Calls",
    "paths": ["cm/trace/ccm/sdl", "b"],
    "unverified": ["b"],
    "location": "activelog",
    "recurs": True,
    "compress": False,
    "last": "2h",
    "products": ["Unified CM", "X"],
    "leaves_out": "call logs",
    "snapshot": True,
}
KEY = {"node": "a", "algorithm": "ssh-rsa", "fingerprint": "SHA256:x", "line": "a ssh-rsa AAAA"}
OTHER = {**KEY, "algorithm": "ecdsa", "fingerprint": "SHA256:y"}


def test_clusters_are_a_line_each(canned, ctl):
    canned.on("Clusters", canned.reply({"clusters": [BERLIN, BERN]}))
    rows = [line.split() for line in ctl("clusters").stdout.splitlines()]
    assert [row[0] for row in rows] == ["CLUSTER", "berlin", "bern"]
    assert "2/3" in rows[1]
    assert rows[2][-1] == "never"


def test_cluster_has_nodes_with_remarks(canned, ctl):
    canned.on("Clusters", canned.reply({"clusters": [{**BERLIN, "nodes": NODES}]}))
    *_, first, second = ctl("clusters", "berlin").stdout.splitlines()
    assert canned.calls[-1][1] == {"name": "berlin"}
    assert first.endswith("was not named")
    assert second.split()[:4] == ["10.0.0.2", "imp1", "Subscriber", "cups"]
    assert second.endswith("not authenticated, not in the configuration")


def test_profile_has_all_of_its_keys(canned, ctl):
    canned.on("Profiles", canned.reply({"profiles": [PROFILE]}))
    assert "Calls  Unified CM, X" in ctl("profiles").stdout
    shown = ctl("profiles", "callmanager").stdout
    assert "  activelog cm/trace/ccm/sdl\n" in shown
    assert "  activelog b; not verified" in shown
    for text in ("window: last 2h", "products: Unified CM, X", "not in it: call logs", "snapshot"):
        assert text in shown


@pytest.mark.parametrize(("verb", "typed"), [("clusters", "berln"), ("profiles", "calmanager")])
def test_misspelt_names_get_a_hint(canned, ctl, verb, typed):
    canned.on("Clusters", lambda asked: {"clusters": [] if "name" in asked else [BERLIN, BERN]})
    canned.on_each(
        "Profiles",
        (canned.error("ProfileNotFound", profile=typed),),
        (canned.reply({"profiles": [PROFILE]}),),
    )
    done = ctl(verb, typed)
    assert (done.returncode, done.stdout) == (5, "")
    assert "did you mean " in done.stderr


def test_credentials_say_where_they_go(canned, ctl):
    credentials = [
        {"name": "free", "tied": False},
        {"name": "ops", "tied": True, "nodes": ["pub"], "clusters": ["berlin"]},
    ]
    canned.on("Credentials", canned.reply({"credentials": credentials}))
    rows = [line.split(maxsplit=1) for line in ctl("credentials").stdout.splitlines()[1:]]
    assert rows == [["free", "any node"], ["ops", "cluster berlin, pub"]]


def test_host_keys_are_sorted(canned, ctl):
    canned.on("ListHostKeys", canned.reply({"host_keys": [KEY, OTHER]}))
    assert ctl("hostkeys").stdout.splitlines() == [
        *("NODE  KEY      FINGERPRINT", "a     ecdsa    SHA256:y", "a     ssh-rsa  SHA256:x")
    ]
    assert json.loads(ctl("--json", "hostkeys", "list").stdout) == [
        {**key, "name": None} for key in (OTHER, KEY)
    ]


def test_fetched_host_key_has_a_warning(canned, ctl):
    canned.on("AddHostKey", canned.reply({"host_keys": [KEY]}))
    done = ctl("hostkeys", "add", "a")
    assert "SHA256:x" in done.stdout
    assert "compare" in done.stderr
    assert ctl("hostkeys", "add", "a", "--key", "ssh-rsa AAAA").stderr == ""
    assert [asked for method, asked in canned.calls if method == "AddHostKey"] == [
        *({"node": "a"}, {"node": "a", "key": "ssh-rsa AAAA"})
    ]


@pytest.mark.parametrize("action", ["add", "forget"])
def test_host_keys_take_host_names(canned, ctl, action):
    """A host name of two nodes is refused, whatever the name server says."""
    twins = [
        {"node": node, "configured": False, "member": {**MEMBER, "node": node, "name": "twin"}}
        for node in ("10.0.0.2", "10.0.0.3")
    ]
    canned.on("Clusters", canned.reply({"clusters": [{**BERLIN, "nodes": twins}]}))
    done = ctl("hostkeys", action, "twin")
    assert done.returncode == 5
    assert "10.0.0.2, 10.0.0.3" in done.stderr
    assert [method for method, _ in canned.calls] == ["Clusters"]


@pytest.mark.parametrize(("count", "code"), [(2, 0), (0, 5)])
def test_forgotten_host_keys_are_counted(canned, ctl, count, code):
    canned.on("ForgetHostKey", canned.reply({"forgotten": count}))
    done = ctl("hostkeys", "forget", "a")
    assert (done.returncode, bool(done.stdout)) == (code, bool(count))
    assert ("2 keys of a" in done.stdout) == bool(count)
    assert json.loads(ctl("hostkeys", "forget", "a", "--json").stdout) == {"forgotten": count}


@pytest.mark.parametrize("waits", [[], ["receiver.listen", "daemon.socket"]])
def test_reload_names_what_needs_a_restart(canned, ctl, waits):
    canned.on("Reload", canned.reply({"after_restart": waits}))
    done = ctl("reload")
    assert (done.returncode, done.stdout) == (0, "")
    assert ", ".join(waits) in done.stderr
    assert bool(done.stderr) == bool(waits)


@pytest.mark.parametrize(
    ("words", "asked"),
    [
        ("cancel 3F2A", ("Cancel", {"job_id": "3f2a"})),
        ("cancel 3f2a ccm-sub1", ("Cancel", {"job_id": "3f2a", "nodes": ["ccm-sub1"]})),
        ("stop 3f2a", ("Stop", {"job_id": "3f2a"})),
    ],
)
def test_message_of_the_reply_is_printed(canned, ctl, job, words, asked):
    reply = {"job_id": "x", "status": "failed", "cancelled": True, "message": "so be it"}
    canned.on(asked[0], canned.reply({**reply, "job": job(), "request_id": "r"}))
    done = ctl(*words.split())
    assert (done.returncode, done.stdout, done.stderr) == (0, "so be it\n", "")
    assert json.loads(ctl("--json", *words.split()).stdout)["message"] == "so be it"
    assert canned.calls == [asked, asked]


def test_label_prints_all_labels(canned, ctl, job):
    canned.on("Label", canned.reply({"job": job(labels={"site": "bern", "case": "1"})}))
    assert ctl("label", "3f2a", "case=1", "old=").stdout == "case=1\nsite=bern\n"
    assert canned.calls == [("Label", {"job_id": "3f2a", "labels": {"case": "1", "old": ""}})]
