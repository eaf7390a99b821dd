"""Makes the start of the command quick: `cucmctl status` takes about three bare Pythons.

Only the command line uses this, except `Later`. Programs that import `Client` are not changed.
"""

from __future__ import annotations

# The C module that `signal` is made of: that would make enums of its constants.
import _signal as signal  # type: ignore[import-not-found]
import gc
import sys
from collections.abc import Mapping
from types import ModuleType


def load_module(name: str) -> ModuleType:
    """Does what `importlib.import_module` does, which must be loaded and loads `warnings`."""
    __import__(name)
    return sys.modules[name]


class Later(ModuleType):
    """Stands for a module that is imported when one of its names is first used.

    `importlib.util.LazyLoader` does the same; to import that takes longer than is saved.
    """

    def __getattr__(self, name: str) -> object:
        if name.startswith("__"):  # what the import system asks of a module
            raise AttributeError(name)
        if sys.modules.get(self.__name__) is self:
            del sys.modules[self.__name__]
        value = getattr(load_module(self.__name__), name)
        setattr(self, name, value)
        return value


def collect_garbage_less_often() -> None:
    """Collections during the start cost 1 to 2 ms and free nothing.

    They are not switched off, because a `watch` may run for days.
    """
    gc.set_threshold(50_000)


# What msgspec loads, for schemas and for other forms than JSON.
_LATER = (
    *("msgspec.inspect", "msgspec.msgpack", "msgspec.toml", "msgspec.yaml"),
    "textwrap",
)
# Types that msgspec would know in a value, which no reply has.
_TYPES: dict[str, dict[str, object]] = {
    "decimal": {"Decimal": type("Decimal", (), {})},
    "uuid": {"UUID": type("UUID", (), {}), "SafeUUID": type("SafeUUID", (), {"unknown": None})},
}


def load_msgspec() -> None:
    """Imports msgspec without what it loads for other uses, which takes half of its time.

    It takes two names from `typing_extensions`, or from `typing` if that is not installed; the
    former loads `inspect`, `ast` and `tokenize`. None in `sys.modules` is Python's own way to say
    that a module cannot be imported. What is not used here is imported when it is used.
    """
    if sys.version_info < (3, 12):  # it is made in Python first there, then once more in C
        sys.modules.setdefault("datetime", load_module("_datetime"))
    stand_ins: dict[str, ModuleType | None] = {"typing_extensions": None}
    stand_ins |= {name: Later(name) for name in _LATER}
    stand_ins |= {name: _module(name, types) for name, types in _TYPES.items()}
    _load("msgspec", stand_ins)


def load_argparse() -> None:
    """Imports argparse without translations: Python has none, and looks for them for 2 ms."""
    texts: dict[str, object] = {
        "gettext": lambda text: text,
        "ngettext": lambda one, several, count: one if count == 1 else several,
    }
    _load("argparse", {"gettext": _module("gettext", texts)})


def _module(name: str, names: dict[str, object]) -> ModuleType:
    module = ModuleType(name)
    vars(module).update(names)
    return module


def _load(package: str, stand_ins: Mapping[str, ModuleType | None]) -> None:
    """Imports a package while others stand in for modules that it loads.

    They are removed at once, so that others import these modules as usual. Should another version
    of the package not import in this way, it is imported as usual; but for Python 3.12, which does
    not import a module in C whose first import has failed.
    """
    if package in sys.modules or not sys.modules.keys().isdisjoint(stand_ins):
        return
    # A module in C that a Ctrl-C interrupts as it is loaded can end the process (msgspec, 3.11).
    before = signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGINT])
    sys.modules.update(stand_ins)  # type: ignore[arg-type]  # None: see above
    try:
        load_module(package)
    except Exception:  # whatever it is: the next import of it is the usual one
        for name in [name for name in sys.modules if name.partition(".")[0] == package]:
            del sys.modules[name]
    finally:
        for name, stand_in in stand_ins.items():
            if sys.modules.get(name) is stand_in:
                del sys.modules[name]
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
