"""The checks of Prune requests."""

from datetime import timedelta

import pytest

from cucmd.api.request_checks import prune_rule
from cucmd.cases.retention import Prune
from cucmd.config import InvalidValue
from cucmd.protocol.cases import PruneRequest


def test_prune_rule_has_request_fields() -> None:
    asked = PruneRequest("30d", 10, 5, {"case": "1"}, dry_run=True)
    assert prune_rule(asked) == Prune(timedelta(days=30), 10, 5, {"case": "1"})
    assert prune_rule(PruneRequest(keep=0)) == Prune(keep=0)
    assert prune_rule(PruneRequest(larger_than=0)) == Prune(larger_than=0)


@pytest.mark.parametrize(
    ("asked", "parameter"),
    [
        (PruneRequest(), "older_than"),
        (PruneRequest(labels={}), "older_than"),
        (PruneRequest(older_than="30"), "older_than"),
        (PruneRequest(older_than="9" * 50 + "d"), "older_than"),
        (PruneRequest(keep=1, larger_than=-1), "larger_than"),
        (PruneRequest(labels={"a b": "1"}), "labels"),
        (PruneRequest(labels={"a": ""}), "labels.a"),
    ],
)
def test_wrong_prune_request_is_refused(asked: PruneRequest, parameter: str) -> None:
    with pytest.raises(InvalidValue) as caught:
        prune_rule(asked)
    assert caught.value.parameter == parameter
