"""Built-in profiles, and profiles of the file."""

import re

import pytest
from msgspec.structs import replace

from cucmd.config import Config, Profile, UnknownProfile, rules
from cucmd.config.profiles import BUILT_IN


@pytest.mark.parametrize("profile", BUILT_IN.values(), ids=BUILT_IN.keys())
def test_built_in_profiles_keep_the_rules(profile):
    assert profile.paths
    assert rules.check_description(profile.description)
    assert rules.check_profile_name(profile.name)
    assert rules.check_location(profile.location)
    assert rules.check_window(profile.last), "a profile without a window collects everything"
    assert all(rules.check_path(path) for path in profile.paths)
    assert len(set(profile.paths)) == len(profile.paths)
    assert len(profile.written_for) == len(profile.paths)
    assert all(map(rules.check_written_for, profile.written_for))
    assert rules.check_description(profile.leaves_out)
    assert all(rules.check_description(product) for product in profile.products)


def test_a_built_in_profile_sends_only_to_profiles_that_there_are():
    for profile in BUILT_IN.values():
        named = re.findall(r"\(([a-z-]+(?:, [a-z-]+)*)[,)]", profile.leaves_out)
        names = {name for group in named for name in group.split(", ") if name != "run"}
        assert names <= BUILT_IN.keys() - {profile.name}, profile.name


def test_a_profile_of_the_file_changes_only_the_keys_it_gives(loaded):
    config = loaded("[profiles.sip]\nlast = '6h'\nmatch = 'SDL.*'\n")
    built_in = BUILT_IN["sip"]
    assert config.profile("sip") == replace(built_in, last="6h", match="SDL.*")
    assert config.profile("cti") == BUILT_IN["cti"]


def test_an_empty_string_takes_a_built_in_window_away(loaded):
    assert loaded("[profiles.sip]\nlast = ''\n").profile("sip").last is None


def test_a_profile_of_its_own(loaded):
    profile = loaded("[profiles.mine]\npaths = ['core']\nlocation = 'tftp'\n").profile("mine")
    assert profile == Profile("mine", "", ("core",), "tftp", written_for=("1h",))


def test_what_is_said_of_the_built_in_paths_is_not_said_of_others(loaded):
    assert BUILT_IN["sip"].products == ("Unified CM",)
    other = loaded("[profiles.sip]\npaths = ['core']\n").profile("sip")
    assert (other.products, other.leaves_out) == ((), "")
    said = "paths = ['core']\nproducts = ['Unity Connection']\nleaves_out = 'traces'\n"
    own = loaded("[profiles.sip]\n" + said).profile("sip")
    assert (own.products, own.leaves_out) == (("Unity Connection",), "traces")


def test_a_path_that_a_node_need_not_have(loaded):
    unverified = BUILT_IN["contact-center"].unverified
    assert unverified == ("uccx/log/MCLI",)
    own = loaded("[profiles.contact-center]\nlast = '1h'\n").profile("contact-center")
    assert own.unverified == unverified
    own = loaded("[profiles.contact-center]\npaths = ['uccx/log/MCLI']\n")
    assert own.profile("contact-center").unverified == ()
    own = loaded("[profiles.mine]\npaths = ['a', 'b']\nunverified = ['b']\n")
    assert own.profile("mine").unverified == ("b",)


def test_the_paths_of_a_profile_may_name_its_location(loaded):
    config = loaded("[profiles.mine]\npaths = ['install/a', 'install /b']\n")
    hours = ("1h", "1h")
    expected = Profile("mine", "", ("a", "b"), "install", written_for=hours)
    assert config.profile("mine") == expected
    config = loaded("[profiles.sip]\npaths = ['activelog/a', 'b']\n")
    assert config.profile("sip").paths == ("a", "b")


def test_built_in_profiles_know_what_is_written_all_the_time():
    profile = BUILT_IN["callmanager"]
    known = dict(zip(profile.paths, profile.written_for, strict=True))
    assert known["cm/trace/ccm/sdl"] == "1h"
    assert known["syslog/CiscoSyslog*"] == "always"
    for name in ("event-viewer", "audit", "install"):
        assert set(BUILT_IN[name].written_for) == {"always"}


@pytest.mark.parametrize(("text", "snapshot"), [("'health'", "health"), ("true", True)])
def test_a_snapshot_may_be_a_look_at_the_health(loaded, text, snapshot):
    config = loaded(f"[profiles.callmanager]\nsnapshot = {text}")
    assert config.profile("callmanager").snapshot == snapshot
    assert config.profile("callmanager").paths == BUILT_IN["callmanager"].paths


@pytest.mark.parametrize(
    ("text", "written_for"),
    [
        ("paths = ['a', 'b']", ("1h", "1h")),
        ("paths = ['a', '/syslog/messages*']", ("1h", "always")),  # as a built-in one has it
        ("paths = ['tomcat/logs/x/log4j', 'tomcat/logs/catalina*']", ("1d", "always")),
        ("paths = ['a', 'b']\nwritten_for = '6h'", ("6h", "6h")),
        ("paths = ['a', 'b']\nwritten_for = ['6h', 'always']", ("6h", "always")),
        ("written_for = '1d'", ("1d", "1d")),
        ("last = '1h'", ("1h", "1h")),
    ],
)
def test_for_how_long_files_are_written(loaded, text, written_for):
    assert loaded(f"[profiles.sip]\n{text}\n").profile("sip").written_for == written_for


def test_an_unknown_profile_names_those_there_are():
    with pytest.raises(UnknownProfile, match=r"no profile 'spi'; there are .*sip") as caught:
        Config().profile("spi")
    assert caught.value.name == "spi"


@pytest.mark.parametrize(
    ("text", "key", "reason"),
    [
        ("[profiles.mine]\nlast = '2h'", "profiles.mine.paths", "expected paths"),
        ("[profiles.mine]\npaths = []", "profiles.mine.paths", "expected paths"),
        (f"[profiles.mine]\npaths = {['a'] * 101}", "profiles.mine.paths", "from 1 to 100"),
        ("[profiles.mine]\npaths = ['ok', 'a b']", "profiles.mine.paths[1]", "'a b': "),
        ("[profiles.sip]\nlocation = 'activlog'", "profiles.sip.location", "expected one of"),
        ("[profiles.sip]\nsnapshot = 'all'", "profiles.sip.snapshot", '"health"'),
        ("[profiles.sip]\nlast = '2 hours'", "profiles.sip.last", "'2 hours': expected"),
        ("[profiles.sip]\nmatch = 'a?'", "profiles.sip.match", "'?'"),
        ('[profiles.sip]\ndescription = "a\\nb"', "profiles.sip.description", "one line"),
        ("[profiles.sip]\npaths = ['a', 'install/b']", "profiles.sip.paths[0]", "not below"),
        ("[profiles.sip]\nproducts = ['a\tb']", "profiles.sip.products[0]", "one line"),
        ("[profiles.sip]\nwritten_for = 'now'", "profiles.sip.written_for[0]", "'now': exp"),
        ("[profiles.sip]\nwritten_for = 3600", "profiles.sip.written_for", "expected a list"),
        ("[profiles.sip]\nwritten_for = ['1h', '0h']", "profiles.sip.written_for[1]", "more than"),
        ("[profiles.sip]\nwritten_for = ['1h']", "profiles.sip.written_for", "has 1, for 2 paths"),
        ("[profiles.sip]\nunverified = ['a']", "profiles.sip.unverified[0]", "none of the paths"),
        ("[profiles.sip]\npath = ['a']", "profiles.sip.path", "did you mean 'paths'?"),
    ],
)
def test_wrong_profiles(problem, text, key, reason):
    _, found_key, found_reason = problem(text)
    assert found_key == key
    assert reason in found_reason
