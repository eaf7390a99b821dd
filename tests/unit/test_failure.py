"""What is advised where a node has failed."""

import re

import pytest

from cucmctl.commands.begin import COLLECTING
from cucmd.config.model import SECTIONS
from cucmd.failure import Code, failure, name_node_in_hint, timeout_failure


@pytest.mark.parametrize("name", ["login", "command", "node", "job"])
def test_the_hint_of_a_timeout_names_the_option_that_there_is(name):
    assert name in COLLECTING
    assert f"raise --{name}-timeout" in failure(Code(f"{name}_timeout"), "").hint


@pytest.mark.parametrize("code", list(Code))
def test_a_hint_names_only_keys_that_there_are(code):
    for section, key in re.findall(r"\b(\w+)\.(\w+)", failure(code, "").hint):
        assert key in SECTIONS[section].__struct_fields__


@pytest.mark.parametrize(
    ("seconds", "what", "message"),
    [
        (600.0, "in 'show status'", "TimeoutError: Timed out after 600s in 'show status'"),
        (2.5, "", "TimeoutError: Timed out after 2.5s"),
    ],
)
def test_the_message_of_a_timeout_has_a_fixed_form(seconds, what, message):
    late = timeout_failure(Code.COMMAND_TIMEOUT, seconds, what)
    assert (late.code, late.message) == (Code.COMMAND_TIMEOUT, message)


def test_the_hint_of_a_transfer_says_that_its_files_are_kept_and_marked():
    assert "kept, but marked incomplete" in failure(Code.TRANSFER_INCOMPLETE, "").hint


def test_what_has_no_room_names_the_limits():
    assert "limits.free_space_percent" in failure(Code.DISK_FULL, "").hint
    assert "limits.job_bytes" in failure(Code.QUOTA_EXCEEDED, "").hint


@pytest.mark.parametrize("code", [Code.INTERRUPTED, Code.JOB_TIMEOUT])
def test_the_hint_of_what_ends_any_kind_of_work_is_not_about_collecting(code):
    assert "collect" not in failure(code, "").hint


@pytest.mark.parametrize("code", [Code.HOST_KEY_CHANGED, Code.HOST_KEY_UNKNOWN])
def test_the_hint_of_a_host_key_can_be_pasted(code):
    hint = name_node_in_hint(failure(code, ""), "192.0.2.7:2022").hint
    assert re.search(r"cucmctl hostkeys (add|forget) 192\.0\.2\.7:2022$", hint)
