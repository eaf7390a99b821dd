"""`hostkeys`: the host keys of nodes that the daemon knows."""

import json

import pytest

pytestmark = pytest.mark.long


KEY = {
    "node": "ccm-pub",
    "algorithm": "ssh-rsa",
    "fingerprint": "SHA256:uNiVztksCsDhcc0u9e8BrmuBrLDMgfg+2UYTsVErW4k",
    "line": "ccm-pub ssh-rsa AAAAB3NzaC1yc2E=",
}


def test_the_keys_are_listed_with_their_fingerprints(canned, ctl):
    canned.on("ListHostKeys", canned.reply({"host_keys": [KEY]}))
    for arguments in (("hostkeys",), ("hostkeys", "list")):
        assert ctl(*arguments).stdout.splitlines() == [
            "NODE     KEY      FINGERPRINT",
            "ccm-pub  ssh-rsa  SHA256:uNiVztksCsDhcc0u9e8BrmuBrLDMgfg+2UYTsVErW4k",
        ]
    assert json.loads(ctl("--json", "hostkeys").stdout) == [KEY]
    assert canned.calls == [("ListHostKeys", {})] * 3


def test_the_list_is_sorted_by_node_and_algorithm(canned, ctl):
    order = [("a", "ecdsa-sha2-nistp256"), ("a", "ssh-rsa"), ("b", "ssh-rsa")]
    keys = [{**KEY, "node": node, "algorithm": algorithm} for node, algorithm in order]
    canned.on("ListHostKeys", canned.reply({"host_keys": keys[::-1]}))
    assert [tuple(line.split()[:2]) for line in ctl("hostkeys").stdout.splitlines()[1:]] == order
    assert json.loads(ctl("hostkeys", "--json").stdout) == keys


def test_no_keys_is_a_message_on_standard_error(canned, ctl):
    canned.on("ListHostKeys", canned.reply({"host_keys": []}))
    done = ctl("hostkeys", "list")
    assert (done.returncode, done.stdout) == (0, "")
    assert done.stderr.endswith(": cucmctl hostkeys add NODE\n")


def test_add_shows_the_keys_and_warns_that_they_were_not_checked(canned, ctl):
    canned.on("AddHostKey", canned.reply({"host_keys": [KEY]}))
    done = ctl("hostkeys", "add", "ccm-pub")
    assert KEY["fingerprint"] in done.stdout
    assert "compare" in done.stderr
    assert canned.calls == [("AddHostKey", {"node": "ccm-pub"})]


def test_add_takes_a_key(canned, ctl):
    canned.on("AddHostKey", canned.reply({"host_keys": [KEY]}))
    done = ctl("hostkeys", "add", "ccm-pub", "--key", "ssh-rsa AAAA", "--json")
    assert (json.loads(done.stdout), done.stderr) == ([KEY], "")
    assert canned.calls == [("AddHostKey", {"node": "ccm-pub", "key": "ssh-rsa AAAA"})]


def test_a_key_that_is_none_is_exit_65(canned, ctl):
    refusal = canned.error("InvalidRequest", parameter="key", reason="'x' is not a public key")
    canned.on("AddHostKey", refusal)
    done = ctl("hostkeys", "add", "ccm-pub", "--key", "x")
    assert (done.returncode, done.stderr) == (65, "cucmctl: --key: 'x' is not a public key\n")


def test_forget_prints_how_many(canned, ctl):
    canned.on("ForgetHostKey", canned.reply({"forgotten": 2}))
    done = ctl("hostkeys", "forget", "ccm-pub")
    assert done.returncode == 0
    assert "2 keys of ccm-pub" in done.stdout
    assert json.loads(ctl("hostkeys", "forget", "ccm-pub", "--json").stdout) == {"forgotten": 2}


def test_nothing_to_forget_is_exit_5(canned, ctl):
    canned.on("ForgetHostKey", canned.reply({"forgotten": 0}))
    done = ctl("hostkeys", "forget", "cm-pub")
    assert (done.returncode, done.stdout) == (5, "")
    assert "'cm-pub'" in done.stderr
    assert "cucmctl hostkeys list" in done.stderr
