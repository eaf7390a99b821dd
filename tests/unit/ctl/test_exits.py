"""Exit codes, and names of refused fields."""

import msgspec
import pytest

from cucmctl.cli import exits
from cucmctl.client import errors
from cucmd.job.collect import PathSize, Sizes
from cucmd.job.work_request import Collection
from cucmd.protocol import errors as wire_errors


@pytest.mark.parametrize(
    ("status", "code"), [("succeeded", 0), ("failed", 1), ("partial", 3), ("cancelled", 4)]
)
def test_ended_jobs_have_codes(job, status, code):
    assert exits.code_of_job(job(status=status)) == code


@pytest.mark.parametrize(
    ("fits", "compress", "size", "code"),
    [
        (True, False, 50, exits.DONE),
        (True, False, 51, exits.PARTIAL),
        (True, True, 51, exits.DONE),  # before compression
        (False, False, 1, exits.PARTIAL),
        (None, True, 51, exits.DONE),
    ],
)
def test_dry_run_that_does_not_fit(job, node, fits, compress, size, code):
    sizes = Sizes((PathSize("syslog", 1, size),), 100, fits=fits)
    nodes = [node(name, "succeeded", sizes=sizes) for name in ("a", "b")]
    ended = job(*nodes, status="succeeded", collection=Collection(compress=compress))
    assert exits.code_of_job(ended) == code


@pytest.mark.parametrize(
    ("parameter", "typed"),
    [
        ("nodes", "NODE"),
        ("job_id", "JOB"),
        ("collection.paths[0]", "--path"),
        ("collection.since", "--since"),
        ("login.username", "--user"),
        ("follow.path", "PATH"),
        ("commands.lines[0]", "COMMAND"),
        ("search.text", "WORDS"),
        ("search.call_id", "--call-id"),
        ("found.regex", "--regex"),
        ("$.timeouts.stall", "--stall-timeout"),
        ("", "the request"),
        ("some.thing.new", "some.thing.new"),
    ],
)
def test_fields_are_named_as_typed(parameter, typed):
    encoded = msgspec.json.encode(wire_errors.InvalidRequest(parameter, "is wrong"))
    refused = errors.refusal("io.cucmd.Jobs.InvalidRequest", msgspec.Raw(encoded))
    assert exits.message_of(refused) == f"{typed}: is wrong"


@pytest.mark.parametrize(
    ("part", "given"),
    [
        ("collection", "give --profile or --path: the collection has nothing"),
        ("login", "give --credential, or --user and --password-file, "),
    ],
)
def test_missing_parts_name_their_options(part, given):
    encoded = msgspec.json.encode(wire_errors.InvalidRequest(part, "has nothing"))
    refused = errors.refusal("io.cucmd.Jobs.InvalidRequest", msgspec.Raw(encoded))
    assert exits.message_of(refused).startswith(given)


def test_only_defects_are_exit_70():
    faults = {errors.InternalError, errors.MethodNotFound}
    for kind in errors.Refused.__subclasses__():
        assert (exits.code_of_error(kind("name", None)) == exits.DEFECT) == (kind in faults), kind
    assert exits.code_of_error(errors.Refused("io.cucmd.Jobs.Newer", {})) == exits.DEFECT
