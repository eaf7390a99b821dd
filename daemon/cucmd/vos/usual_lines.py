"""PURE. The lines of a `file get` that are no questions, as patterns.

Every pattern has a maximum length, since a node may let a line grow without end.
"""

from __future__ import annotations

import re

QUOTED = re.compile(r"\s{0,40}Get file:")
GATHERING = re.compile(r"\s{0,40}Please wait while the system is gathering", re.IGNORECASE)
COMPLETED = re.compile(r"[.\s]{0,200}Transfer completed", re.IGNORECASE)
DOTS = re.compile(r"[.\s]{0,200}\.\s{0,40}")
GET_FILE = re.compile(r"\s*Get file:\s*\S", re.IGNORECASE)
# Lines that any dialogue may have, without blanks at their ends. Other lines become notes.
EXPECTED = re.compile(
    r"""(?: $ | \.+$ | done\.?$ | Total\ size\ in | Number\ of\ files
      | Sub-directories\ were | The\ authenticity\ of\ host | .*key\ fingerprint\ is
      | This\ key\ is\ not\ known | Warning:\ Permanently\ added )""",
    re.IGNORECASE | re.VERBOSE,
)
