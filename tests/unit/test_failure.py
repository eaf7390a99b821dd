"""What is advised where a node has failed."""

import pytest

from cucmctl.commands.start import TIMEOUTS
from cucmd.failure import Code, failure


@pytest.mark.parametrize("name", ["login", "command", "node", "job"])
def test_the_hint_of_a_timeout_names_the_option_that_there_is(name):
    assert name in TIMEOUTS
    assert f"raise --{name}-timeout" in failure(Code(f"{name}_timeout"), "").hint
