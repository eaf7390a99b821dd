"""The text of the interface: it matches the structs, and is compatible with the first version.

`fixtures/io.cucmd.Jobs.first.varlink` is the text of the first version. Nothing of it may
be missing or differ; the interface may have more.
"""

import inspect
import re
from pathlib import Path

import msgspec
import pytest

from cucmd.api import host_keys, refusals, reload
from cucmd.api.interface import jobs_interface
from cucmd.protocol import error_structs, structs
from cucmd.varlink import Interface
from rig.interface_text import comments, errors, members, methods_and_types

FIRST_VERSION = (Path(__file__).parent / "fixtures/io.cucmd.Jobs.first.varlink").read_text()
# What was added later.
ADDED = {
    ("type", "Timeouts"): {"login": "?float", "answer": "?float"},
    ("type", "Job"): {
        **dict.fromkeys(("unsaved", "request_id", "username"), "?string"),
        **{"owner": "?int", "targets": "?[]string", "labels": "?[string]string"},
        **{"revision": "?int", "closed": "?bool", "resumable": "?bool", "retries": "?int"},
        **dict.fromkeys(("files_deleted", "deleted"), "?bool"),
        **{"kind": "?string", "commands": "?[]string", "concurrency": "?int"},
        "capture": "?CaptureSettings",
        "written_for": "?[]string",
    },
    ("type", "Node"): {
        **{"coverage": "?string", "all_announced": "?bool", "heard_at": "?string"},
        "found": "?Found",
        "sizes": "?Sizes",
        "checked": "?Checked",
        **{"capture": "?Captured", "may_run": "?[]string", "gaps": "?[]Gap"},
    },
    ("type", "Checked"): {
        **dict.fromkeys(("reachable", "login", "prompt"), "?bool"),
        **dict.fromkeys(("host_key", "product", "version", "zone", "receiver"), "?string"),
        **{"clock_ahead": "?float", "logging_total": "?int", "logging_free": "?int"},
    },
    ("type", "PathSize"): {"path": "string", "files": "int", "bytes": "int"},
    ("type", "Sizes"): {
        **{"paths": "[]PathSize", "room": "?int", "fits": "?bool", "why": "?string"},
        "seconds": "?float",
    },
    ("type", "Gap"): {"path": "string", "missing": "(all,begin,end)", "written_for": "?string"},
    ("type", "Member"): {
        **dict.fromkeys(("node", "address", "name", "role", "product"), "string"),
        "fqdn": "?string",
    },
    ("type", "Found"): {"members": "[]Member", "unread": "[]string", "version": "?string"},
    ("type", "JobSummary"): {
        **{"nodes_succeeded": "?int", "started_at": "?string", "owner": "?int"},
        **{"targets": "?[]string", "first_node": "?string", "collection": "?Collection"},
        **{"labels": "?[string]string", "revision": "?int", "kind": "?string"},
    },
    ("method", "Discover"): {
        **{"publisher": "string", "login": "Login", "timeouts": "?Timeouts"},
        **{"request_id": "?string", "labels": "?[string]string", "start_key": "?string"},
    },
    ("type", "ClusterNode"): {"node": "string", "configured": "bool", "member": "?Member"},
    ("type", "Cluster"): {
        **dict.fromkeys(("nodes_total", "nodes_configured"), "int"),
        **dict.fromkeys(("name", "publisher", "asked", "discovered_at"), "?string"),
        **{"job_id": "?string", "version": "?string", "nodes": "?[]ClusterNode"},
    },
    ("type", "Profile"): {
        **dict.fromkeys(("name", "description", "location"), "string"),
        **{"paths": "[]string", "recurs": "bool", "compress": "bool"},
        **{"match": "?string", "last": "?string"},
        **{"products": "?[]string", "leaves_out": "?string", "snapshot": "?bool"},
        "written_for": "?[]string",
    },
    ("type", "Credential"): {
        **{"name": "string", "tied": "bool", "nodes": "?[]string", "clusters": "?[]string"},
    },
    ("method", "Clusters"): {"name": "?string", "after": "?string"},
    ("method", "Profiles"): {"name": "?string"},
    ("method", "Credentials"): {},
    ("method", "Run"): {
        **{"nodes": "[]string", "login": "Login", "commands": "[]string"},
        **{"discovered": "?[]string", "accept_nodes": "?bool"},
        **{"timeouts": "?Timeouts", "concurrency": "?int", "try_all": "?bool"},
        **{"request_id": "?string", "labels": "?[string]string", "start_key": "?string"},
    },
    ("method", "Check"): {
        **{"nodes": "[]string", "login": "Login", "receiver": "?bool"},
        **{"discovered": "?[]string", "accept_nodes": "?bool"},
        **{"timeouts": "?Timeouts", "concurrency": "?int", "try_all": "?bool"},
        **{"request_id": "?string", "labels": "?[string]string", "start_key": "?string"},
    },
    ("method", "Capture"): {
        **{"nodes": "[]string", "login": "Login"},
        **{"interface": "?string", "host": "?string", "port": "?int", "count": "?int"},
        **{"size": "?int", "duration": "?float", "delete": "?bool"},
        **{"discovered": "?[]string", "accept_nodes": "?bool"},
        **{"timeouts": "?Timeouts", "concurrency": "?int", "try_all": "?bool"},
        **{"request_id": "?string", "labels": "?[string]string", "start_key": "?string"},
    },
    ("method", "Stop"): {"job_id": "string", "request_id": "?string"},
    ("type", "CaptureSettings"): {
        **{"name": "string", "interface": "string", "count": "int", "duration": "float"},
        **{"delete": "bool", "host": "?string", "port": "?int", "size": "?int"},
    },
    ("type", "Captured"): {
        **{"name": "string", "started_at": "string", "running": "bool", "ended_at": "?string"},
        **{"packets": "?int", "how": "?string"},
    },
    ("method", "Output"): {"job_id": "string", "nodes": "?[]string"},
    ("type", "CommandOutput"): {
        **dict.fromkeys(("node", "command", "text"), "string"),
        **dict.fromkeys(("ended", "complete"), "bool"),
        **{"number": "int", "parsed": "?object"},
    },
    ("method", "Start"): {
        **dict.fromkeys(("request_id", "start_key"), "?string"),
        **{"labels": "?[string]string", "try_all": "?bool"},
        **{"discovered": "?[]string", "accept_nodes": "?bool"},
        **{"only": "?[]string", "added_paths": "?[]string", "snapshot": "?bool"},
        **{"dry_run": "?bool", "written_for": "?string"},
    },
    ("method", "List"): {
        **dict.fromkeys(("target", "since", "before", "kind"), "?string"),
        "labels": "?[string]string",
    },
    ("type", "File"): {
        **dict.fromkeys(("node", "path"), "string"),
        "size": "int",
        **dict.fromkeys(("complete", "exported"), "bool"),
        **{"sha256": "?string", "attempt": "?int", "modified": "?string"},
    },
    ("method", "Files"): {"job_id": "string", "nodes": "?[]string"},
    ("method", "Export"): {
        **{"job_id": "string", "nodes": "?[]string"},
        **dict.fromkeys(("incomplete", "descriptors", "verify"), "?bool"),
    },
    ("type", "ExportedFile"): {
        **{"name": "string", "size": "int", "modified": "int"},
        **dict.fromkeys(("node", "sha256", "raw_name", "wrong"), "?string"),
    },
    ("type", "ExportedFiles"): {"files": "[]ExportedFile", "documents": "?[]ExportedFile"},
    ("method", "Verify"): {"job_id": "string", "nodes": "?[]string"},
    ("type", "WrongFile"): dict.fromkeys(("node", "path", "reason"), "string"),
    ("method", "Transcript"): {"job_id": "string", "node": "string", "follow": "?bool"},
    ("error", "JobBusy"): {"job_id": "string", "reason": "string", "request_id": "?string"},
    ("method", "Retry"): {
        **{"job_id": "string", "nodes": "?[]string", "login": "?Login"},
        **{"request_id": "?string", "start_key": "?string", "try_all": "?bool"},
    },
    ("method", "Watch"): {"changes": "?bool"},
    ("type", "JobChange"): {
        "job_id": "string",
        "status": "(queued,running,succeeded,partial,failed,cancelled)",
        **dict.fromkeys(("cancelled", "closed"), "bool"),
        **dict.fromkeys(("started_at", "completed_at", "unsaved"), "?string"),
        **{"nodes": "[]Node", "revision": "int", "labels": "?[string]string"},
        **dict.fromkeys(("files_deleted", "deleted"), "?bool"),
    },
    ("method", "Delete"): {"job_id": "string", "files_only": "?bool"},
    ("method", "Prune"): {
        **{"older_than": "?string", "keep": "?int", "larger_than": "?int"},
        **{"labels": "?[string]string", "dry_run": "?bool"},
    },
    ("method", "Label"): {"job_id": "string", "labels": "[string]string"},
    ("method", "Cancel"): {"request_id": "?string"},
    ("error", "CredentialNotFound"): {"cluster": "?string", "request_id": "?string"},
    ("error", "StorageFailed"): {"reason": "string", "request_id": "?string"},
    **{
        ("error", name): {"request_id": "?string"}
        for name in (
            "JobNotFound",
            "NodeNotFound",
            "ProfileNotFound",
            "InvalidRequest",
            "LimitReached",
            "ShuttingDown",
        )
    },
    ("type", "HostKey"): dict.fromkeys(("node", "algorithm", "fingerprint", "line"), "string"),
    ("method", "ListHostKeys"): {},
    ("method", "AddHostKey"): {"node": "string", "key": "?string"},
    ("method", "ForgetHostKey"): {"node": "string"},
    ("error", "ScanFailed"): {"node": "string", "failure": "Failure"},
    ("method", "Reload"): {},
    ("error", "ReloadFailed"): {"reason": "string"},
    ("error", "InternalError"): {"request_id": "?string"},
}


class Methods:
    def __getattr__(self, name: str) -> None:
        return None


@pytest.fixture
def interface() -> Interface:
    return jobs_interface(*(Methods() for _ in range(5)))


def declared() -> list[type[msgspec.Struct]]:
    return [
        one
        for one in (vars(structs) | vars(error_structs)).values()
        if isinstance(one, type) and issubclass(one, msgspec.Struct) and one is not msgspec.Struct
    ]


def test_the_text_matches_the_structs(interface: Interface) -> None:
    ours = methods_and_types(interface)
    shown = {name for kind, name in ours if kind == "type"}
    for method in interface.methods:
        shown |= {method.request.__name__, method.reply.__name__}
    ours |= errors(one for one in declared() if one.__name__ not in shown)
    text = members(interface.description)
    assert text == ours
    for member, parts in text.items():
        assert [list(part) for part in parts] == [list(part) for part in ours[member]], "the order"


def test_the_text_of_the_first_version_is_parsed_completely() -> None:
    names = [name for _, name in members(FIRST_VERSION)]
    assert len(names) == 7 + 5 + 7
    assert members(FIRST_VERSION)["method", "Cancel"] == [
        {"job_id": "string", "nodes": "?[]string"},
        {
            "job_id": "string",
            "status": "(queued,running,succeeded,partial,failed,cancelled)",
            "cancelled": "bool",
            "message": "string",
        },
    ]


def test_everything_of_the_first_version_is_there_with_the_same_type_in_the_same_order(
    interface: Interface,
) -> None:
    ours, first = members(interface.description), members(FIRST_VERSION)
    assert [name for name in ours if name in first] == list(first)
    for member, parts in first.items():
        for our_fields, first_fields in zip(ours[member], parts, strict=True):
            kept = {name: kind for name, kind in our_fields.items() if name in first_fields}
            assert list(kept.items()) == list(first_fields.items()), member


def test_additions_since_the_first_version_are_known(interface: Interface) -> None:
    ours, first = members(interface.description), members(FIRST_VERSION)
    added = {}
    for member, parts in ours.items():
        known = first.get(member, [{}] * len(parts))
        more = [
            {name: kind for name, kind in our_fields.items() if name not in first_fields}
            for our_fields, first_fields in zip(parts, known, strict=True)
        ]
        if any(more) or member not in first:
            added[member] = more[0]
    assert added == ADDED


def test_the_comments_begin_as_those_of_the_first_version(interface: Interface) -> None:
    ours = comments(interface.description)
    for what, comment in comments(FIRST_VERSION).items():
        assert ours[what].startswith(comment)


def errors_of(interface: Interface) -> set[str]:
    return {name for kind, name in members(interface.description) if kind == "error"}


def test_every_refusal_of_the_methods_is_among_the_errors(interface: Interface) -> None:
    sources = "".join(map(inspect.getsource, (refusals, host_keys, reload)))
    named = re.findall(r"\berror\(error_structs\.(\w+)\(", sources)
    assert named
    assert set(named) <= errors_of(interface)


def test_the_error_for_a_defect_is_among_the_errors(interface: Interface) -> None:
    assert interface.internal_error == "io.cucmd.Jobs.InternalError"
    assert "InternalError" in errors_of(interface)


def test_methods_with_an_effect_are_marked(interface: Interface) -> None:
    assert {one.name for one in interface.methods if one.effect} == {
        "Start",
        "Run",
        "Check",
        "Capture",
        "Stop",
        "Discover",
        "Retry",
        "Label",
        "Delete",
        "Prune",
        "Cancel",
        "AddHostKey",
        "ForgetHostKey",
        "Reload",
    }
    assert {one.name for one in interface.methods if one.streaming} == {
        "Watch",
        "Files",
        "Verify",
        "Transcript",
        "Output",
    }
