"""Labels of a job: which are taken, and how a change applies."""

import pytest

from cucmd.config import InvalidValue
from cucmd.plan.labels import MOST, apply_change, check_labels


@pytest.mark.parametrize(
    ("label", "parameter"),
    [
        (("", "x"), "labels"),
        (("-a", "x"), "labels"),
        (("a b", "x"), "labels"),
        (("a=b", "x"), "labels"),
        (("k" * 64, "x"), "labels"),
        (("case", ""), "labels.case"),
        (("case", "a\nb"), "labels.case"),
        (("case", "\x1b[2J"), "labels.case"),
        (("case", "x" * 201), "labels.case"),
    ],
)
def test_wrong_label(label: tuple[str, str], parameter: str) -> None:
    with pytest.raises(InvalidValue) as caught:
        check_labels(dict([label]))
    assert caught.value.parameter == parameter


def test_apply_change() -> None:
    before = {"case": "1", "site": "bern"}
    assert apply_change(before, {"case": "2", "site": "", "keep": "x", "gone": ""}) == {
        "case": "2",
        "keep": "x",
    }
    assert before == {"case": "1", "site": "bern"}


def test_number_of_labels() -> None:
    many = {f"k{number}": "x" for number in range(MOST)}
    assert check_labels(many) == many
    for wrong in (
        lambda: check_labels({**many, "more": "x"}),
        lambda: apply_change(many, {"more": "x"}),
    ):
        with pytest.raises(InvalidValue, match=str(MOST)):
            wrong()
