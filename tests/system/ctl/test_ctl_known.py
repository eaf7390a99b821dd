"""`clusters`, `profiles` and `credentials`: what is printed of what the daemon answers."""

import json

import pytest

pytestmark = pytest.mark.long


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
    "node": "10.0.0.2",
    "address": "10.0.0.2",
    "name": "imp1",
    "role": "Subscriber",
    "product": "cups",
}
NODES = [
    {"node": "pub", "configured": True},
    {"node": "10.0.0.2", "configured": False, "member": MEMBER},
]
PROFILE = {
    "name": "callmanager",
    "description": "Calls",
    "paths": ["cm/trace/ccm/sdl"],
    "location": "activelog",
    "recurs": True,
    "compress": False,
    "last": "2h",
}


def test_clusters_are_a_line_each(canned, ctl):
    canned.on("Clusters", canned.reply({"clusters": [BERLIN, BERN]}))
    done = ctl("clusters")
    assert (done.returncode, done.stderr) == (0, "")
    rows = [line.split() for line in done.stdout.splitlines()]
    assert [row[0] for row in rows] == ["CLUSTER", "berlin", "bern"]
    assert "2/3" in rows[1]
    assert rows[2][-1] == "never"


def test_a_cluster_by_name_has_its_nodes_with_a_remark(canned, ctl):
    canned.on("Clusters", canned.reply({"clusters": [{**BERLIN, "nodes": NODES}]}))
    done = ctl("clusters", "berlin")
    assert canned.calls[-1][1] == {"name": "berlin"}
    *_, first, second = done.stdout.splitlines()
    assert first.split()[0] == "pub"
    assert first.endswith("was not named")
    assert second.split()[:4] == ["10.0.0.2", "imp1", "Subscriber", "cups"]
    assert second.endswith("not in the configuration")


def test_a_node_that_is_down_or_new_has_a_remark(canned, ctl):
    down = {**MEMBER, "product": "", "unauthenticated": "not authenticated - INITIATOR"}
    nodes = [{"node": "pub", "configured": True, "member": down}]
    canned.on("Clusters", canned.reply({"clusters": [{**BERLIN, "nodes": nodes}]}))
    assert ctl("clusters", "berlin").stdout.splitlines()[-1].endswith("not authenticated")


def test_of_a_misspelt_cluster_the_near_names_are_said(canned, ctl):
    canned.on(
        "Clusters",
        lambda asked: {"clusters": [] if "name" in asked else [BERLIN, BERN]},
    )
    done = ctl("clusters", "berln")
    assert (done.returncode, done.stdout) == (5, "")
    assert "did you mean berlin" in done.stderr


def test_profiles_and_one_of_them(canned, ctl):
    canned.on("Profiles", canned.reply({"profiles": [PROFILE]}))
    listed, one = ctl("profiles"), ctl("profiles", "callmanager")
    assert [line.split()[0] for line in listed.stdout.splitlines()] == ["PROFILE", "callmanager"]
    assert "activelog cm/trace/ccm/sdl" in one.stdout
    assert "last 2h" in one.stdout
    assert "products: any\n" in one.stdout
    assert "not in it" not in one.stdout


def test_a_profile_says_which_products_it_fits_and_what_is_not_in_it(canned, ctl):
    said = {"products": ["Unified CM", "X"], "leaves_out": "call logs (callmanager)"}
    said["snapshot"] = True
    canned.on("Profiles", canned.reply({"profiles": [{**PROFILE, **said}]}))
    listed, one = ctl("profiles"), ctl("profiles", "callmanager")
    assert "Calls  Unified CM, X" in listed.stdout
    assert "products: Unified CM, X\n" in one.stdout
    assert "snapshot" in one.stdout
    assert "health" not in one.stdout
    assert "not in it: call logs (callmanager)\n" in one.stdout
    canned.on("Profiles", canned.reply({"profiles": [{**PROFILE, **said, "health": True}]}))
    assert "health" in ctl("profiles", "callmanager").stdout


def test_a_profile_says_which_of_its_paths_are_not_verified(canned, ctl):
    paths = {"paths": ["a", "b"], "unverified": ["b"]}
    canned.on("Profiles", canned.reply({"profiles": [{**PROFILE, **paths}]}))
    known, unknown = (
        line for line in ctl("profiles", "callmanager").stdout.splitlines() if "activelog" in line
    )
    assert known == "  activelog a"
    assert unknown.startswith("  activelog b; not verified")


def test_a_terminal_has_a_line_for_each_profile(canned, terminal):
    long = {**PROFILE, "description": "for what " * 20}
    canned.on("Profiles", canned.reply({"profiles": [long, PROFILE]}))
    screen = terminal("profiles")
    assert screen.ended() == 0
    heading, first, second = screen.screen.splitlines()
    assert (len(first), first[-1]) == (80, "…")
    assert (heading.split()[0], second.split()[2]) == ("PROFILE", "Calls")


def test_of_a_misspelt_profile_the_near_names_are_said(canned, ctl):
    canned.on_each(
        "Profiles",
        (canned.error("ProfileNotFound", profile="calmanager"),),
        (canned.reply({"profiles": [PROFILE]}),),
    )
    done = ctl("profiles", "calmanager")
    assert (done.returncode, done.stdout) == (5, "")
    assert "did you mean callmanager" in done.stderr


def test_credentials_say_where_they_are_sent(canned, ctl):
    credentials = [
        {"name": "free", "tied": False},
        {"name": "ops", "tied": True, "nodes": ["pub"], "clusters": ["berlin"]},
    ]
    canned.on("Credentials", canned.reply({"credentials": credentials}))
    rows = [line.split(maxsplit=1) for line in ctl("credentials").stdout.splitlines()[1:]]
    assert rows == [["free", "any node"], ["ops", "cluster berlin, pub"]]


@pytest.mark.parametrize("verb", ["clusters", "profiles", "credentials"])
def test_json_is_what_the_daemon_answers(canned, ctl, verb):
    canned.on(verb.title(), canned.reply({verb: []}))
    done = ctl("--json", verb)
    assert (done.returncode, json.loads(done.stdout)) == (0, [])
    assert ctl(verb).returncode == 0
