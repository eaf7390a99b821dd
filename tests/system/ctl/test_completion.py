"""What Tab completes: the values of `cucmctl __complete`, and real shells on a terminal."""

import os
import shutil
import subprocess
import sys
import threading
from contextlib import suppress
from pathlib import Path

import pytest

from cucmctl.commands.complete import completions
from cucmctl.main import command_of, main
from rig.pages import ROOT
from system.ctl.conftest import JOB_ID
from system.ctl.terminal import PATIENCE, Terminal

HOSTILE = ["$(touch x)", "`touch x`", "a;touch x", "a&touch x", "'", '"', "a\tb", "a\nb", "*", "?"]
HOSTILE += [
    "~root",
    "!!",
    "{a,b}",
    "#a",
    "a|b",
    "<a",
    "^a^b",
    "\x1b[2J",
    "\u202eb",
    "\\",
]


@pytest.fixture
def known(canned, job, node, summary):
    """A daemon with a job, of which some labels and names are hostile."""
    labels = {
        "case": "698",
        "why": "no [dial] tone",
        **{f"k{at}": text for at, text in enumerate(HOSTILE)},
    }
    other = summary("failed", job_id="9c0144556677", kind="check", owner=0)
    canned.on(
        "List",
        canned.reply(
            {"jobs": [other, summary(labels=labels, targets=["ccm-pub:22", "[fe80::1]:22"])]}
        ),
    )
    nodes = [
        node("10.0.0.1", name="ccm-pub"),
        *(node(text, name=text) for text in ("-rf", *HOSTILE)),
    ]
    canned.on("Status", canned.reply({"job": job("succeeded", *nodes)}))
    counts = {"nodes_total": 9, "nodes_configured": 9}
    clusters = [{"name": "berlin", **counts}, {"publisher": "x", **counts}]
    canned.on("Clusters", canned.reply({"clusters": clusters}))
    profile = {"name": "callmanager", "description": "Traces of calls", "paths": ["x"]}
    profile |= {"location": "activelog", "recurs": False, "compress": True}
    canned.on("Profiles", canned.reply({"profiles": [profile]}))
    canned.on(
        "Credentials", canned.reply({"credentials": [{"name": "cucmd.berlin", "tied": False}]})
    )
    key = {
        "node": "ccm-pub",
        "algorithm": "ssh-rsa",
        "fingerprint": "SHA256:x",
        "line": "ccm-pub ssh-rsa AAAA",
    }
    canned.on("ListHostKeys", canned.reply({"host_keys": [key]}))
    return canned


def values(canned, verb: str, *words: str) -> list[str]:
    found = completions(verb, command_of(verb), ["--socket", str(canned.path), *words])
    return [value for value, _ in found]


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (["status", ""], ["@last", "9c0144556677", JOB_ID]),
        (["status", "3f"], [JOB_ID]),
        (["export", ""], ["@last", JOB_ID]),  # a check has no files
        (["delete", JOB_ID, "9c"], ["9c0144556677"]),
        (["cancel", JOB_ID, ""], ["ccm-pub"]),
        (["cancel", "--json", JOB_ID, "10."], ["10.0.0.1"]),
        (["files", JOB_ID, "--node", "c"], ["ccm-pub"]),
        (["files", "--node=c", JOB_ID, "--node=c"], ["ccm-pub"]),
        (["start", "be"], ["berlin"]),
        (["start", "olga@"], ["olga@berlin", "olga@ccm-pub:22", "olga@[fe80::1]:22"]),
        (["run", "berlin", "--wait", "[fe"], ["[fe80::1]:22"]),
        (["run", "berlin", "--", ""], []),
        (["start", "berlin", "--path", "x", "b"], []),
        (["start", "berlin", "--credential", ""], ["cucmd.berlin"]),
        (["start", "berlin", "--profile", "ca"], ["callmanager"]),
        (["list", "--label", ""], ["case=698", "why=no [dial] tone"]),
        (["list", "--label=ca"], ["case=698"]),
        (["label", JOB_ID, "case="], ["case=698"]),
        (["label", JOB_ID, "why=no ["], ["why=no [dial] tone"]),
        (["hostkeys", "forget", ""], ["ccm-pub"]),
        (["mask", ""], []),
        (["status", "--site", "berlin", ""], []),
    ],
)
def test_values(known, words, expected):
    assert values(known, *words) == expected


def test_description_says_what_job_does(known):
    words = ["--socket", str(known.path), "3f"]
    ((_, text),) = completions("status", command_of("status"), words)
    assert "collect" in text
    assert "succeeded" in text


def test_last_means_newest_fitting_job(known, monkeypatch):
    monkeypatch.setattr("os.getuid", lambda: 0)
    assert values(known, "cancel", "@last", "c") == ["ccm-pub"]
    assert known.calls[-1] == ("Status", {"job_id": "9c0144556677"})


def test_sites_come_from_their_file(tmp_path, monkeypatch, canned):
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    (tmp_path / "cucmctl").mkdir()
    (tmp_path / "cucmctl/sites.toml").write_text('[sites]\nbern = "ssh://b"\nberlin = "ssh://a"\n')
    assert values(canned, "list", "--site", "") == ["bern", "berlin", "all"]
    assert values(canned, "list", "--site", "bern,b") == ["bern,bern", "bern,berlin"]


def test_site_before_verb(tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    (tmp_path / "cucmctl").mkdir()
    (tmp_path / "cucmctl/sites.toml").write_text('[sites]\nberlin = "ssh://a"\n')
    assert main(["__complete", "--site", "be"]) == 0
    assert capsys.readouterr().out.startswith("berlin\t")


@pytest.mark.parametrize(
    "words", [[], [""], ["nothing", ""], ["--bad", ""], ["status"], ["start", "x"]]
)
def test_other_lines_are_silent(words):
    """There is no daemon at the socket of these lines."""
    command = [sys.executable, "-m", "cucmctl", "__complete", *words]
    done = subprocess.run(command, capture_output=True, check=True, env={"CUCMD_SOCKET": "/none"})
    assert (done.stdout, done.stderr) == (b"", b"")


def test_hanging_daemon_is_left(canned, environ):
    canned.on("List", threading.Event())
    command = [sys.executable, "-m", "cucmctl", "__complete", "status", ""]
    environ["CUCMD_SOCKET"] = str(canned.path)
    done = subprocess.run(command, capture_output=True, check=True, env=environ, timeout=30)
    assert (done.stdout, done.stderr) == (b"", b"")


SHELLS = {
    "bash": ["--noprofile", "--rcfile", "{rc}", "-i"],
    "zsh": ["-d", "-i"],
    "fish": ["--private", "--no-config", "--init-command", "source {rc}"],
}
STARTS = {
    "bash": "source /usr/share/bash-completion/bash_completion; PS1='ready> '\n",
    "zsh": "fpath=({site} $fpath); autoload -Uz compinit; compinit -D -u; PS1='ready> '\n",
    "fish": "set fish_complete_path {site}; function fish_prompt; echo 'ready> '; end\n",
}


@pytest.fixture(scope="module")
def scripts(tmp_path_factory):
    if shutil.which("go-md2man") is None:
        pytest.skip("go-md2man is not installed")
    folder = tmp_path_factory.mktemp("docs")
    subprocess.run([sys.executable, str(ROOT / ".ci/build-docs"), str(folder)], check=True)
    return folder / "share"


@pytest.fixture(params=SHELLS)
def shell(request, scripts, known, environ, tmp_path):
    """A shell on a terminal, in a folder of its own, with `cucmctl` in its path."""
    program = shutil.which(request.param)
    if program is None or not Path("/usr/share/bash-completion").exists():
        pytest.skip(f"{request.param} or bash-completion is not installed")
    site = {
        "bash": scripts / "bash-completion/completions",
        "zsh": scripts / "zsh/vendor-completions",
        "fish": scripts / "fish/vendor_completions.d",
    }[request.param]
    rc = tmp_path / ".zshrc"
    rc.write_text(STARTS[request.param].replace("{site}", str(site)))
    (tmp_path / "cwd").mkdir()
    (tmp_path / ".config/cucmctl").mkdir(parents=True)
    (tmp_path / ".config/cucmctl/sites.toml").write_text('[sites]\nbern = "ssh://b"\n')
    (client := tmp_path / "bin/cucmctl").parent.mkdir()
    client.write_text(f'#!/bin/sh\nexec {sys.executable} -m cucmctl "$@"\n')
    client.chmod(0o755)
    environ |= {
        "PATH": f"{client.parent}:{os.environ['PATH']}",
        "CUCMD_SOCKET": str(known.path),
        "HOME": str(tmp_path),
        "ZDOTDIR": str(tmp_path),
        "XDG_DATA_DIRS": str(scripts),
        "BASH_COMPLETION_USER_DIR": str(scripts / "bash-completion"),
        "PWD": str(tmp_path / "cwd"),
    }
    arguments = [word.replace("{rc}", str(rc)) for word in SHELLS[request.param]]
    into = ["/bin/sh", "-c", 'cd "$PWD" && exec "$@"', "sh", program, *arguments]
    terminal = Terminal(into, environ, 80, 24)
    try:
        terminal.read_until(lambda: "ready>" in terminal.raw)
        yield terminal
        terminal.hang_up()  # ends the shell and its children
        terminal.process.wait(PATIENCE)
    finally:
        terminal.close()


def press_tab(shell: Terminal, line: str, until: str) -> None:
    """Types the line, and Tab until a text is shown. A busy host may be too slow for the first."""
    shell.type(line)
    before = len(shell.raw)
    for _ in range(30):
        shell.type("\t")
        with suppress(AssertionError):
            shell.read_until(lambda: until in shell.raw[before:], within=2)
            return
    raise AssertionError(f"{until!r} was not shown:\n{shell.raw}")


@pytest.mark.long
@pytest.mark.parametrize(
    ("line", "until"),
    [
        ("cucmctl transc", "ript"),
        ("cucmctl status 9c", "0144556677"),
        ("cucmctl status ", "check"),  # the description of a job
        ("cucmctl cancel 3f2a ccm", "-pub"),
        ("cucmctl start admin@ber", "lin"),
        ("cucmctl run berlin ccm-pub:", "22"),
        ("cucmctl list --label ca", "se=698"),
        ("cucmctl list --label=ca", "se=698"),
        ("cucmctl list --label why=no", "dial"),
        ("cucmctl start \\[fe8", "0::1"),
        ("cucmctl --site ber", "n"),
        ("cucmctl start --no-sn", "apshot"),
        ("cucmctl help transc", "ript"),
    ],
)
def test_tab_completes(shell, line, until):
    press_tab(shell, line, until)


@pytest.mark.long
def test_hostile_descriptions_are_not_run(shell, known, summary, tmp_path):
    """Hostile names do not reach a shell (see `test_values`), but what a job does is shown."""
    texts = ["$(touch ../by-shell)", "`touch ../by-shell`", "%F{red}", "'", '"', "a\tb"]
    jobs = [
        summary(kind="run", commands=[text], job_id=f"3f2a0011223{at}")
        for at, text in enumerate(texts)
    ]
    known.on("List", known.reply({"jobs": jobs}))
    press_tab(shell, "cucmctl status 3f2a", "touch ../by-shell")
    assert not (tmp_path / "by-shell").exists()
