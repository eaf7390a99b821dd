"""Masks what leaves, and puts originals in place of masks in the arguments of a tool.

The key is that of `cucmctl export --mask`, so the masks are the same, and `cucmctl unmask` prints
the original of a mask that an assistant has shown. Text that is read in parts can only be masked by
what its parts mark as a number or a name: the longer this runs, the more originals are known.
"""

from collections.abc import Iterable
from typing import Any

from cucmctl.mask.key import KeyFolder
from cucmmask.masks import Masks
from cucmmask.originals import Originals
from cucmmask.text import Text
from cucmmask.unmask import unmask

# Arguments that cannot be masks.
_PLAIN = {"job", "kind", "cursor", "profile", "last", "since", "until"}


class Masking:
    """Masks with the key in `folder`, and adds to its map. Not for two threads at once.

    hosts  names and addresses of nodes that are known already
    """

    def __init__(self, folder: KeyFolder, hosts: Iterable[str] = ()) -> None:
        self._folder = folder
        self._masks = Masks(folder.key())
        self._known = Originals()
        self.hide("\n".join(f"HostName={host}" for host in hosts))

    def hide(self, text: str) -> str:
        """Returns the text with masks. Raises `BadKey` and `OSError`."""
        new = Text(self._masks)
        new.collect(text)
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

    def reveal(self, arguments: dict[str, Any]) -> dict[str, Any]:
        """Returns arguments with originals in place of the masks that are known. Raises `BadKey`
        and `OSError`.
        """
        made = self._folder.masks()

        def original(value: Any) -> Any:
            if isinstance(value, tuple):
                return tuple(map(original, value))
            return unmask(value, made) if isinstance(value, str) and value else value

        return {
            name: value if name in _PLAIN else original(value) for name, value in arguments.items()
        }
