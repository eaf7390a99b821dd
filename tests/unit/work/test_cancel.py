"""A cancel at every step of every kind of work: nothing stays open, and nothing runs on."""

import hashlib

import pytest
from msgspec.structs import replace

from cucmd import vos
from cucmd.job.capture import Capture
from cucmd.job.check import Check
from cucmd.job.collect import Collect, DryRun
from cucmd.job.discover import Discover
from cucmd.job.follow import Follow
from cucmd.job.health import HealthCheck
from cucmd.job.run import Run
from cucmd.vos.forms import SNAPSHOT
from cucmd.work.capture import STOP_WITHIN
from rig.parameters import mostly_more
from rig.scripted_node import answers, appliance, pushes
from unit.work.capture_node import WORK, CaptureNode, after, until_ctrl_c, until_enter
from unit.work.test_dry_run import BOTH
from unit.work.test_follow import LINES, grows, node_that, says
from unit.work.test_run import DIAGNOSE, SERVICES, STATUS, asks

PUB = ["10.0.0.1 pub pub Publisher callmanager DBPub authenticated"]
SMALL_FILE = {
    "file list activelog platform/log detail": ["16 Nov,2004 21:45:43        8,557  enGui.log"],
    "file get activelog platform/log/enGui.log": pushes(8557),
}
PRINTED = {STATUS: ["Host Name : x"], DIAGNOSE: asks("Starting", question="Continue (y/n)?")}
CERTIFICATES = {"show cert list own": ["tomcat/tomcat.pem: Self-signed"]}
GET = {"file get activelog core": pushes(5)}
FOLLOW = Follow("syslog/messages", duration=5.0)
ROWS = {
    "collect": (appliance(pushes(1, 2)), Collect(("syslog", "core"))),
    "discover": (answers({vos.SHOW_CLUSTER: PUB}), Discover()),
    "check": (answers({vos.SHOW_CLUSTER: PUB, **SMALL_FILE}), Check(True)),
    "dry run": (appliance(BOTH), DryRun(Collect(("syslog", "core")))),
    "run": (answers(PRINTED), Run((STATUS, SERVICES))),
    "run, a question": (answers(PRINTED), Run((DIAGNOSE, STATUS))),
    "health": (
        answers({vos.SHOW_CLUSTER: PUB, **CERTIFICATES}),
        HealthCheck(("cluster", "certificates")),
    ),
    "snapshot": (answers(GET), Collect(("core",), snapshot=SNAPSHOT)),
    "snapshot of the health": (answers(GET), Collect(("core",), health=HealthCheck(("disk",)))),
    "follow": (node_that(grows), FOLLOW),
    "follow, ended by the node": (node_that(says(*LINES)), FOLLOW),
    "follow, refused": (node_that(says("Executed command unsuccessfully")), FOLLOW),
}


@pytest.mark.parametrize("name", ROWS)
def test_cancel_at_any_step(play, tmp_path, name):
    script, request = ROWS[name]
    targets = set()
    step, cancelled = 0, True
    while cancelled:
        step += 1
        done = play(script, request, at_step=(step, "cancel"), folder=tmp_path / str(step))
        cancelled = done.cancelled
        targets.add(len(done.node.targets))
        assert done.seconds < 60, f"step {step}"
        assert len(done.report.written) <= len(request.commands_kept)
        for file in done.report.written:
            content = (
                done.task.folder.parent / str(step) / file.path.partition("/")[2]
            ).read_bytes()
            assert hashlib.sha256(content).hexdigest() == file.sha256, f"step {step}"
    assert step > 15, "it went through the whole dialogue"
    assert targets <= {0, 1}


@pytest.mark.parametrize("runs", mostly_more([until_ctrl_c, after(12), until_enter]))
def test_cancel_leaves_no_capture_running(play, tmp_path, runs):
    step, cancelled = 0, True
    while cancelled:
        step += 1
        here = CaptureNode(tmp_path / str(step), runs=runs)
        request: Capture = replace(WORK, delete=True)
        done = play(here.script, request, at_step=(step, "cancel"), folder=here.folder)
        cancelled, captures = done.cancelled, done.report.captures
        assert not (captures and captures[-1].running), f"step {step}"
        assert done.seconds < 60 + STOP_WITHIN, f"step {step}"
        assert not here.captures or captures[-1].ended_at is not None, f"step {step}"
        assert all(f"/{WORK.name}.cap " in line for line in here.removed), f"step {step}"
    assert step > 40, "it went through the whole dialogue"


def test_stop_at_any_step_succeeds(play, tmp_path):
    """A stopped follow has a whole file, or a note that it has not begun."""
    step, stopped = 0, True
    while stopped:
        step += 1
        request = replace(FOLLOW, duration=100.0)
        done = play(node_that(grows), request, at_step=(step, "stop"), folder=tmp_path / str(step))
        stopped = done.task.joint_run.stopped
        assert done.failure is None
        assert done.notes or done.report.written
        assert all(file.complete for file in done.report.written)
    assert step > 20
