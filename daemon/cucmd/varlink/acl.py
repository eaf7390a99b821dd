"""PURE. An access list of a file, in the kernel's format, with one group more.

For everybody else it grants what the file's mode does.
"""

from __future__ import annotations

import struct

ATTRIBUTE = "system.posix_acl_access"

# <linux/posix_acl_xattr.h>, <linux/posix_acl.h>: all little-endian, the tags in this order.
_VERSION = 2
_OWNER, _OWNING_GROUP, _GROUP, _MOST, _OTHERS = 0x01, 0x04, 0x08, 0x10, 0x20
_NO_ID = 0xFFFFFFFF


def with_group(gid: int, mode: int) -> bytes:
    """The value of ATTRIBUTE that grants group `gid` what `mode` grants the owning group."""
    owner, group, others = mode >> 6 & 7, mode >> 3 & 7, mode & 7
    entries = (
        (_OWNER, owner, _NO_ID),
        (_OWNING_GROUP, group, _NO_ID),
        (_GROUP, group, gid),
        (_MOST, group, _NO_ID),
        (_OTHERS, others, _NO_ID),
    )
    return struct.pack("<I", _VERSION) + b"".join(struct.pack("<HHI", *one) for one in entries)
