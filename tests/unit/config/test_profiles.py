"""Built-in profiles, and profiles of the file."""

import re

import pytest
from msgspec.structs import replace

from cucmd.config import Config, Profile, UnknownProfile
from cucmd.config.profiles import BUILT_IN


@pytest.mark.parametrize("profile", BUILT_IN.values(), ids=BUILT_IN.keys())
def test_built_in_profile_is_complete(profile):
    assert profile.last, "a profile without a window collects everything"
    assert profile.description
    assert profile.leaves_out
    assert len(set(profile.paths)) == len(profile.paths)


def test_leaves_out_names_existing_profiles():
    for profile in BUILT_IN.values():
        named = re.findall(r"\(([a-z-]+(?:, [a-z-]+)*)[,)]", profile.leaves_out)
        names = {name for group in named for name in group.split(", ") if name != "run"}
        assert names <= BUILT_IN.keys() - {profile.name}, profile.name


def test_profile_changes_only_given_keys(loaded):
    config = loaded("[profiles.sip]\nlast = ''\nmatch = 'SDL.*'\nsnapshot = 'health'\n")
    changed = replace(BUILT_IN["sip"], last=None, match="SDL.*", snapshot="health")
    assert config.profile("sip") == changed
    assert config.profile("cti") == BUILT_IN["cti"]


def test_other_paths_drop_built_in_notes(loaded):
    same = loaded("[profiles.contact-center]\nlast = '1h'\n").profile("contact-center")
    assert (same.unverified, same.products) == (("uccx/log/MCLI",), ("Contact Center Express",))
    other = loaded("[profiles.contact-center]\npaths = ['uccx/log/MCLI']\n")
    other = other.profile("contact-center")
    assert (other.unverified, other.products, other.leaves_out) == ((), (), "")


def test_paths_may_name_their_location(loaded):
    config = loaded("[profiles.mine]\npaths = ['install/a', 'install /b']\nunverified = ['b']\n")
    expected = Profile(
        "mine", "", ("a", "b"), "install", written_for=("1h", "1h"), unverified=("b",)
    )
    assert config.profile("mine") == expected


@pytest.mark.parametrize(
    ("text", "written_for"),
    [
        ("paths = ['a', '/syslog/messages*']", ("1h", "always")),
        ("paths = ['tomcat/logs/x/log4j', 'tomcat/logs/catalina*']", ("1d", "always")),
        ("paths = ['a', 'b']\nwritten_for = '6h'", ("6h", "6h")),
        ("paths = ['a', 'b']\nwritten_for = ['6h', 'always']", ("6h", "always")),
        ("written_for = '1d'", ("1d", "1d")),
        ("last = '1h'", ("1h", "1h")),
    ],
)
def test_written_for(loaded, text, written_for):
    assert loaded(f"[profiles.sip]\n{text}\n").profile("sip").written_for == written_for


def test_unknown_profile_lists_known_ones():
    with pytest.raises(UnknownProfile, match=r"no profile 'spi'; there are .*sip"):
        Config().profile("spi")


@pytest.mark.parametrize(
    ("text", "key", "reason"),
    [
        ("[profiles.mine]\nlast = '2h'", "profiles.mine.paths", "expected paths"),
        (f"[profiles.mine]\npaths = {['a'] * 101}", "profiles.mine.paths", "from 1 to 100"),
        ("[profiles.mine]\npaths = ['ok', 'a b']", "profiles.mine.paths[1]", "'a b': "),
        ("[profiles.sip]\nlocation = 'activlog'", "profiles.sip.location", "expected one of"),
        ("[profiles.sip]\nsnapshot = 'all'", "profiles.sip.snapshot", '"health"'),
        ('[profiles.sip]\ndescription = "a\\nb"', "profiles.sip.description", "one line"),
        ("[profiles.sip]\npaths = ['a', 'install/b']", "profiles.sip.paths[0]", "not below"),
        ("[profiles.sip]\nwritten_for = 'now'", "profiles.sip.written_for[0]", "'now': exp"),
        ("[profiles.sip]\nwritten_for = ['1h']", "profiles.sip.written_for", "has 1, for 2 paths"),
        ("[profiles.sip]\nunverified = ['a']", "profiles.sip.unverified[0]", "none of the paths"),
        ("[profiles.sip]\npath = ['a']", "profiles.sip.path", "did you mean 'paths'?"),
    ],
)
def test_wrong_profile_is_refused(problem, text, key, reason):
    _, found_key, found_reason = problem(text)
    assert found_key == key
    assert reason in found_reason
