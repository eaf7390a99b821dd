"""`start --dry-run` gives, over real sockets, the sizes of every node and path, and no file."""

from collections.abc import Callable
from pathlib import Path

import msgspec
import pytest

from cucmd.job.asked import Collection, Estimate, Login
from cucmd.job.collect import Sizes
from rig.daemon import Daemon
from rig.jobs import SDL, start
from rig.lab import running_lab


@pytest.mark.long
def test_a_dry_run_says_what_a_collection_then_brings(
    make_daemon: Callable[..., Daemon], tmp_path: Path
) -> None:
    options = ("--files", "3", "--size", "100000", "--fault", "2=big-file@40000000")
    daemon = make_daemon("node_bytes = 1000000\n")
    with running_lab(2, *options) as lab:
        secret = tmp_path / "password"
        secret.touch(0o600)
        secret.write_text(lab.password)
        login = ("--user", lab.username, "--password-file", str(secret))
        asked = ("start", *lab.nodes, *login, "--path", SDL, "nothing/here", "--dry-run")
        done = daemon.ctl("--json", *asked)
        assert done.returncode == 0, done.stderr
        job = msgspec.json.decode(done.stdout)
        assert (job["kind"], job["status"]) == ("dry_run", "succeeded")
        first, second = (node["sizes"] for node in job["nodes"])
        assert first["paths"] == [{"path": SDL, "files": 3, "bytes": 300_000}]
        assert (first["fits"], second["fits"]) == (True, False)
        assert [node["bytes_received"] for node in job["nodes"]] == [0, 0]
        assert not list(Path(job["directory"]).glob("*/files/*"))
        seen = [line.split() for line in daemon.ctl(*asked).stdout.splitlines()]
        assert [lab.nodes[0], SDL, "3", "300.0", "kB"] in seen, seen
        assert seen[3][:2] == ["total", "6"]
        with daemon.client() as client:
            assert [known.kind for known in client.list(kind="dry_run")] == ["dry_run"] * 2
            kept = client.status(job["job_id"]).nodes[1].sizes
            assert kept == msgspec.convert(second, Sizes), "it is in the store"
            real = client.wait(start(client, lab, lab.nodes[:1], last=None).job_id)
        assert (real.nodes[0].files_received, real.nodes[0].bytes_received) == (3, 300_000)


@pytest.mark.long
@pytest.mark.parametrize("extra", ["before", "after"])
def test_forms_of_the_dialogue_are_all_left_at_the_prompt(
    make_daemon: Callable[..., Daemon], extra: str
) -> None:
    """Two paths each: the second `file get` needs the prompt after the first."""
    faults = ("--fault", "1=omit:proceed", "--fault", "2=sizes-twice", "--fault", "3=no-echo")
    options = ("--files", "3", "--size", "1000", "--extra-question", extra)
    daemon = make_daemon()
    with running_lab(3, *options, *faults) as lab, daemon.client() as client:
        login = Login(lab.username, lab.password)
        collection = Collection(paths=(SDL, f"{SDL}/*"))
        begun = client.start(lab.nodes, Estimate(collection), login=login)
        job = client.wait(begun.job_id)
    assert job.status == "succeeded", job.nodes
    for node in job.nodes:
        assert node.sizes is not None
        assert [(one.files, one.bytes) for one in node.sizes.paths] == [(3, 3000)] * 2
