r"""PURE. Makes names for an export that any system can unpack.

The vendor unpacks exports on Windows. There, `..\..\x` leads out of the folder, and `C:\x`,
`x:ads`, `CON` and `a.` are not valid names. Of two names that differ only in case, Windows keeps
one file.

    part of a name that Windows refuses            its bytes, as %XX
    a device (`CON`, `nul.txt`)                    its first letter, as %XX
    a name that differs from another only in case  its capitals, as %XX
    `%` before two hexadecimal digits              %25

A program that decodes URLs can read the names back, as `urllib.parse.unquote_to_bytes` does. No two
names become the same.
"""

from __future__ import annotations

import re

from cucmd.job.job import Job

# The surrogates stand for bytes that are not valid UTF-8.
_HARMFUL = r'[\x00-\x1f\x7f<>:"\\|?*\udc80-\udcff]|[. ]\Z|%(?=[0-9A-Fa-f]{2})'
_DEVICE = r"\A[A-Za-z](?=(?i:{}) *(?:[.:]|\Z))".format(
    r"(?<=c)on(?:in\$|out\$)?|(?<=p)rn|(?<=a)ux|(?<=n)ul|(?:(?<=c)om|(?<=l)pt)[0-9¹²³]"
)
_ESCAPED = re.compile(f"{_HARMFUL}|{_DEVICE}")
_ESCAPED_ALIKE = re.compile(f"{_HARMFUL}|{_DEVICE}|[A-Z]")


def portable_name(name: str, *, alike: bool = False) -> str:
    """Returns the name by the table at the top of this file.

    alike: whether another name differs from this one only in case.
    """
    pattern = _ESCAPED_ALIKE if alike else _ESCAPED
    return "/".join(pattern.sub(_escape, part) for part in name.split("/"))


def export_name(job: Job) -> str:
    """Returns the file name of an export of the job, without a suffix.

    If the job has the label `case`, the name contains this case for the receiver of the file.
    """
    case = re.sub("[^A-Za-z0-9._-]", "_", job.labels.get("case", ""))
    return f"case-{case}" if case else f"cucmd-{job.job_id}"


def _escape(found: re.Match[str]) -> str:
    return "".join(f"%{byte:02X}" for byte in found[0].encode("utf-8", "surrogateescape"))
