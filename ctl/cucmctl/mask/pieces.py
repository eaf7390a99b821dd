"""Masks text that a program shows in pieces, and reverses masks in what is asked about it.

The key is that of `cucmctl export --mask`, so the masks are the same, and `cucmctl unmask` prints
the original of a mask that was shown. Here nobody can read the whole text first. So a number or a
name is masked only from the first piece on that marks it as one: the longer the program runs, the
more originals are known.
"""

from __future__ import annotations

from collections.abc import Iterable

from cucmctl.mask.key import KeyFolder
from cucmmask.masks import Masks
from cucmmask.originals import PIECE, Originals
from cucmmask.places import Kind
from cucmmask.text import Text
from cucmmask.unmask import unmask


class PieceMasking:
    """Masks with the key in `folder`, and adds to its map. Only for one thread at a time.

    hosts  names and addresses of nodes that are known already

    The constructor and all methods raise `BadKey` and `OSError`.
    """

    def __init__(self, folder: KeyFolder, hosts: Iterable[str] = ()) -> None:
        self._folder = folder
        self._masks = Masks(folder.key())
        self._known = Originals()
        self.hide("\n".join(f"HostName={host}" for host in hosts))

    def hide(self, text: str) -> str:
        """Returns the text with masks."""
        new = Text(self._masks)
        new.collect(text)
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
        return masked.mask(text)

    def reveal(self, texts: Iterable[str]) -> list[str]:
        """Returns texts with originals in place of the masks that are known."""
        asked, made = list(texts), self._folder.masks()
        # Originals that another process has masked are not known here yet. What is answered must
        # not have them, just because somebody asks for their masks.
        pieces = set(PIECE.findall(" ".join(asked).lower()))
        for kind, pairs in made.items():
            for mask, original in pairs.items():
                if kind in Kind.__members__ and not pieces.isdisjoint(PIECE.findall(mask.lower())):
                    self._known.add(Kind[kind], original)
        return [unmask(text, made) if text else text for text in asked]
