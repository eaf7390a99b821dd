"""`cucmd check` prints which protections the kernel lacks."""

import pytest

from cucmd.main import main
from cucmd.worker import confine


def test_this_kernel_lacks_nothing() -> None:
    assert confine.missing_protections() == []


@pytest.mark.parametrize(
    ("function", "answer", "said"),
    [
        ("_has_landlock", False, "no Landlock"),
        ("missing_filter_reason", "this kernel has no seccomp filters", "no seccomp filters"),
    ],
)
def test_missing_protection_is_printed(
    function: str,
    answer: object,
    said: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr(confine, function, lambda: answer)
    main(["check"])
    assert said in capsys.readouterr().err
