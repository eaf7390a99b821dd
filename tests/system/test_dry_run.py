"""`start --dry-run` gives, over real sockets, the sizes of every node and path, and no file."""

from collections.abc import Callable
from pathlib import Path

import msgspec
import pytest

from cucmd.job.collect import Sizes
from rig.credentials import login_options
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
        login = login_options(tmp_path, lab)
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
