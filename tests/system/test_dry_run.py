"""`start --dry-run` gives, over real sockets, the sizes of every node and path, and no file."""

from collections.abc import Callable
from pathlib import Path

import msgspec
import pytest

from cucmd.job.asked import Collection, Estimate, Login
from cucmd.job.collect import Sizes
from cucmd.protocol.jobs import Job
from rig.daemon import Daemon, running_daemon
from rig.jobs import SDL, start
from rig.lab import running_lab
from rig.quiet import wait_until


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


@pytest.mark.long
def test_the_time_is_that_at_the_rate_of_the_last_collection_also_when_that_is_deleted(
    tmp_path: Path,
) -> None:
    """The second node has never sent anything: of that nothing is known."""
    folder = tmp_path / "cucmd"
    with running_lab(2, "--files", "3", "--size", "4000000") as lab:
        secret = tmp_path / "password"
        secret.touch(0o600)
        secret.write_text(lab.password)
        login = ("--user", lab.username, "--password-file", str(secret))
        with running_daemon(folder) as daemon, daemon.client() as client:
            done = client.wait(start(client, lab, lab.nodes[:1], last=None).job_id)
            assert (done.status, done.nodes[0].bytes_received) == ("succeeded", 12_000_000)
            wait_until(lambda: client.status(done.job_id).closed)
            client.delete(done.job_id)
        with running_daemon(folder) as daemon:
            asked = daemon.ctl("--json", "start", *lab.nodes, *login, "--path", SDL, "--dry-run")
            job = msgspec.json.decode(asked.stdout, type=Job)
            known, unknown = (node.sizes for node in job.nodes)
            assert known is not None
            assert unknown is not None
            took = (done.completed_at - done.started_at).total_seconds()
            assert known.seconds is not None
            assert 0 < known.seconds <= took
            assert unknown.seconds is None
            seen = daemon.ctl("status", job.job_id).stdout.splitlines()
            rows = [line.split() for line in seen if SDL in line or line.startswith("total")]
            assert [row[-1] for row in rows[-2:]] == ["unknown", "unknown"]
