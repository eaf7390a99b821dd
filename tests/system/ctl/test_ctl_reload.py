"""`cucmctl reload`: silent if all is in force, else it names what is not."""


def test_a_reload_that_applies_everything_says_nothing(canned, ctl):
    canned.on("Reload", canned.reply({"after_restart": []}))
    done = ctl("reload")
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    assert canned.calls == [("Reload", {})]


def test_what_waits_for_a_restart_is_named(canned, ctl):
    canned.on("Reload", canned.reply({"after_restart": ["receiver.listen", "daemon.socket"]}))
    done = ctl("reload")
    assert (done.returncode, done.stdout) == (0, "")
    assert "receiver.listen, daemon.socket" in done.stderr
    assert (
        ctl("reload", "--json").stdout == '{"after_restart":["receiver.listen","daemon.socket"]}\n'
    )
