"""Masks what a program shows in pieces, and reverses masks in what is asked about it.

The key is that of `cucmctl export --mask`, so the masks are the same, and `cucmctl unmask` prints
the original of a mask that was shown. Here nobody can read the whole text first. So a number or a
name is masked only from the first piece on that marks it as one: the longer the program runs, the
more originals are known.

A piece is a text, or a request or a reply of the daemon as a value of JSON.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from itertools import islice
from typing import Any

from cucmctl.mask.key import KeyFolder
from cucmmask.masks import Masks
from cucmmask.originals import PIECE, Originals
from cucmmask.places import Kind
from cucmmask.text import Text
from cucmmask.unmask import unmask

# Members that hold no text of nodes or people. A mask would only hide which job is meant.
_PLAIN = {"job_id", "job", "kind", "status", "state", "phase", "profile", "last", "since", "until"}
_PLAIN |= {f"{name}_at" for name in ("created", "started", "completed", "discovered")}
# Members that name nodes or clusters.
_HOSTS = {"node", "name", "first_node", "first_name", "targets", "publisher", "asked"}


class PieceMasking:
    """Masks with the key in `folder`, and adds to its map. Only for one thread at a time.

    hosts  names and addresses of nodes that are known already

    The constructor and all methods raise `BadKey` and `OSError`.
    """

    def __init__(self, folder: KeyFolder, hosts: Iterable[str] = ()) -> None:
        self._folder = folder
        self._masks = Masks(folder.key())
        self._known = Originals()
        self.hide([{"node": host} for host in hosts])

    def hide(self, value: Any) -> Any:
        """Returns a text, or a value of JSON, with masks. What is marked as a number or a name at
        one place is masked at all.
        """
        texts = _texts(value)
        # In this form, the names of nodes are marked as such.
        hosts = [f"HostName={text}" for name, text in texts if name in _HOSTS]
        whole = "\n".join([*(text for _, text in texts), *hosts])
        new = Text(self._masks)
        new.collect(whole)
        # Every change writes the whole map, so the map is changed only if there is a new original.
        fresh = {
            kind: originals - self._known.by_kind[kind]
            for kind, originals in new.found.by_kind.items()
        }
        self._known.update(new.found)
        masked = Text(self._masks, self._known)
        made = {
            kind.name: {masked.words.mask_of(kind, original): original for original in originals}
            for kind, originals in fresh.items()
            if originals
        }
        if made:
            self._folder.add(made)
        lines = iter(masked.mask(whole).split("\n"))
        return _changed(value, lambda _, text: "\n".join(islice(lines, text.count("\n") + 1)))

    def reveal(self, value: Any) -> Any:
        """Returns a value with originals in place of the masks that are known."""
        asked, made = " ".join(text for _, text in _texts(value)), self._folder.masks()
        # Originals that another process has masked are not known here yet. What is answered must
        # not have them, just because somebody asks for their masks.
        pieces = set(PIECE.findall(asked.lower()))
        for kind, pairs in made.items():
            for mask, original in pairs.items():
                if kind in Kind.__members__ and not pieces.isdisjoint(PIECE.findall(mask.lower())):
                    self._known.add(Kind[kind], original)
        return _changed(value, lambda _, text: unmask(text, made) if text else text)


def _texts(value: Any) -> list[tuple[str, str]]:
    """Returns (name of the member, text) for all texts that may get masks."""
    texts: list[tuple[str, str]] = []
    _changed(value, lambda name, text: texts.append((name, text)))
    return texts


def _changed(value: Any, change: Callable[[str, str], Any], name: str = "") -> Any:
    """Replaces each text by what `change` returns for (name of its member, text)."""
    if isinstance(value, dict):
        return {member: _changed(part, change, member) for member, part in value.items()}
    if isinstance(value, list | tuple):
        return [_changed(part, change, name) for part in value]
    return change(name, value) if isinstance(value, str) and name not in _PLAIN else value
