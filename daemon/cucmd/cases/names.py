r"""PURE. Makes names for an export that any system can unpack: the vendor does it on Windows.

`..\..\x` is one name here, and leads out of the folder there; `C:\x`, `x:ads`, `CON` and `a.` are
no names of files there at all, and of two names that differ in case alone one is lost.

    what is no name there                        its bytes, as %XX
    a device (`CON`, `nul.txt`)                  its first letter, as %XX
    what differs from another in case alone      its capitals, as %XX
    `%` before two hexadecimal digits            %25

So what reads URLs reads it back, as `urllib.parse.unquote_to_bytes` does, and no two names become
the same.
"""

from __future__ import annotations

import re

from cucmd.job.job import Job

# The surrogates are bytes that are no UTF-8.
_HARMFUL = r'[\x00-\x1f\x7f<>:"\\|?*\udc80-\udcff]|[. ]\Z|%(?=[0-9A-Fa-f]{2})'
_DEVICE = r"\A[A-Za-z](?=(?i:{}) *(?:[.:]|\Z))".format(
    r"(?<=c)on(?:in\$|out\$)?|(?<=p)rn|(?<=a)ux|(?<=n)ul|(?:(?<=c)om|(?<=l)pt)[0-9¹²³]"
)
_ESCAPED = re.compile(f"{_HARMFUL}|{_DEVICE}")
_ESCAPED_ALIKE = re.compile(f"{_HARMFUL}|{_DEVICE}|[A-Z]")


def portable(name: str, *, alike: bool = False) -> str:
    """Returns the name by the table at the top of this file. `alike`: another one differs from it
    in case alone.
    """
    pattern = _ESCAPED_ALIKE if alike else _ESCAPED
    return "/".join(pattern.sub(_escape, part) for part in name.split("/"))


def export_name(job: Job) -> str:
    """Returns the name of an export of the job, without a suffix: that of its case, if it has the
    label `case`, so that whoever gets the file knows what it belongs to.
    """
    case = re.sub("[^A-Za-z0-9._-]", "_", job.labels.get("case", ""))
    return f"case-{case}" if case else f"cucmd-{job.job_id}"


def _escape(found: re.Match[str]) -> str:
    return "".join(f"%{byte:02X}" for byte in found[0].encode("utf-8", "surrogateescape"))
