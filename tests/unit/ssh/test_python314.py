"""On Python 3.14 the names that trio-asyncio needs are added, and elsewhere nothing changes."""

import _asyncio
import asyncio
import sys
from types import ModuleType

import pytest

from cucmd.failure import CannotStart
from cucmd.ssh.bridge import on_asyncio, open_bridge
from cucmd.ssh.python314 import import_trio_asyncio

ON_314 = sys.version_info >= (3, 14)
MODULE = ModuleType("trio_asyncio")


def version_0_16() -> ModuleType:
    """Stands for trio-asyncio 0.16, which needs both names."""
    assert issubclass(asyncio.events.BaseDefaultEventLoopPolicy, object)
    assert issubclass(asyncio.AbstractChildWatcher, object)
    return MODULE


def a_release_that_supports_314() -> ModuleType:
    return MODULE


def a_release_that_needs_another_name() -> ModuleType:
    raise AttributeError("module 'asyncio' has no attribute 'Another'")


@pytest.fixture
def asyncio_of_314(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    """Gives asyncio the names of 3.14 during a test, on any Python."""
    if not ON_314:
        policy = asyncio.events.BaseDefaultEventLoopPolicy
        monkeypatch.setattr(asyncio.events, "_BaseDefaultEventLoopPolicy", policy, raising=False)
        monkeypatch.delattr(asyncio.events, "BaseDefaultEventLoopPolicy")
        monkeypatch.delattr(asyncio, "AbstractChildWatcher")
    monkeypatch.setattr(asyncio.Handle, "_run", asyncio.Handle._run)
    return monkeypatch


class Loop:
    """Stands for an asyncio loop."""

    def get_debug(self) -> bool:
        return False


def run_one(callback) -> Loop:
    loop = Loop()
    asyncio.Handle(callback, (), loop)._run()
    return loop


@pytest.mark.usefixtures("asyncio_of_314")
def test_names_exist_only_during_import():
    assert import_trio_asyncio(version_0_16, (3, 14)) is MODULE
    assert not hasattr(asyncio.events, "BaseDefaultEventLoopPolicy")
    assert not hasattr(asyncio, "AbstractChildWatcher")


@pytest.mark.usefixtures("asyncio_of_314")
def test_callback_runs_in_its_loop():
    import_trio_asyncio(version_0_16, (3, 14))
    seen = []
    loop = run_one(lambda: seen.append(_asyncio._get_running_loop()))
    assert seen == [loop]
    assert _asyncio._get_running_loop() is None


@pytest.mark.usefixtures("asyncio_of_314")
@pytest.mark.parametrize(
    ("load", "version"),
    [(a_release_that_supports_314, (3, 14)), (a_release_that_supports_314, (3, 13))],
)
def test_working_import_changes_nothing(load, version):
    run = asyncio.Handle._run
    assert import_trio_asyncio(load, version) is MODULE
    assert asyncio.Handle._run is run


@pytest.mark.parametrize(
    ("load", "gone", "named"),
    [
        (
            version_0_16,
            (asyncio.events, "_BaseDefaultEventLoopPolicy"),
            "_BaseDefaultEventLoopPolicy",
        ),
        (version_0_16, (_asyncio, "_set_running_loop"), "_set_running_loop"),
        (a_release_that_needs_another_name, None, "Another"),
    ],
)
def test_missing_name_raises_cannot_start(asyncio_of_314, load, gone, named):
    if gone is not None:
        asyncio_of_314.delattr(*gone)
    run = asyncio.Handle._run
    with pytest.raises(CannotStart) as refused:
        import_trio_asyncio(load, (3, 14))
    assert str(refused.value).startswith("trio-asyncio does not support Python 3.")
    assert f"'{named}'" in str(refused.value)
    assert asyncio.Handle._run is run


@pytest.mark.usefixtures("asyncio_of_314")
def test_later_python_is_not_patched():
    run = asyncio.Handle._run
    with pytest.raises(CannotStart):
        import_trio_asyncio(version_0_16, (3, 15))
    assert asyncio.Handle._run is run
    assert import_trio_asyncio(a_release_that_supports_314, (3, 15)) is MODULE


async def test_callbacks_are_wrapped_on_314_only():
    async def running_in_c():
        return _asyncio._get_running_loop()

    async with open_bridge():
        assert (await on_asyncio(running_in_c) is not None) == ON_314
        assert _asyncio._get_running_loop() is None
    assert (asyncio.Handle._run.__module__ == "asyncio.events") != ON_314
