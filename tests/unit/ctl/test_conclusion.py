"""The end of the live view of a job: what has become known since its last state was printed."""

import io

import pytest

from cucmctl.text.live import Live
from cucmd.job.coverage import Gap


@pytest.mark.parametrize("length", range(20, 70))
def test_new_remarks_are_whole(change, job, node, length):
    """Where the lines of a remark that is new and of an old one break does not matter."""
    gap = Gap(length * "p", "middle", None, 1930)
    before = job(node("a", "succeeded", gaps=(gap,)), status="succeeded")
    later = Gap(length * "q", "middle", None, 1930)
    after = job(node("a", "succeeded", gaps=(gap, later)), status="succeeded")
    printed = io.StringIO()
    view = Live(printed)
    view.show(change(before))
    view.conclude(after)
    text = " ".join(printed.getvalue().split())
    assert f"{later.path} has nothing in the middle, at least 32 min" in text
    assert gap.path not in text
