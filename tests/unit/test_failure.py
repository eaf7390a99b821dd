"""The hints of failures."""

import re

import pytest

from cucmctl.commands.begin import COLLECTING
from cucmd.config.model import SECTIONS
from cucmd.failure import Code, failure, name_node_in_hint, timeout_failure


@pytest.mark.parametrize("name", ["login", "command", "node", "job"])
def test_timeout_hint_names_its_option(name):
    assert name in COLLECTING
    assert f"raise --{name}-timeout" in failure(Code(f"{name}_timeout"), "").hint


@pytest.mark.parametrize("code", list(Code))
def test_hints_name_existing_keys(code):
    for section, key in re.findall(r"\b(\w+)\.(\w+)", failure(code, "").hint):
        assert key in SECTIONS[section].__struct_fields__


@pytest.mark.parametrize(
    ("seconds", "what", "message"),
    [
        (600.0, "in 'show status'", "TimeoutError: Timed out after 600s in 'show status'"),
        (2.5, "", "TimeoutError: Timed out after 2.5s"),
    ],
)
def test_timeout_message_has_fixed_form(seconds, what, message):
    late = timeout_failure(Code.COMMAND_TIMEOUT, seconds, what)
    assert (late.code, late.message) == (Code.COMMAND_TIMEOUT, message)


@pytest.mark.parametrize("code", [Code.HOST_KEY_CHANGED, Code.HOST_KEY_UNKNOWN])
def test_host_key_hint_can_be_pasted(code):
    hint = name_node_in_hint(failure(code, ""), "192.0.2.7:2022").hint
    assert re.search(r"cucmctl hostkeys (add|forget) 192\.0\.2\.7:2022$", hint)
