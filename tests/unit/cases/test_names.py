"""Names in an export, which every system can unpack, and which can be read back."""

import re
from datetime import UTC, datetime
from urllib.parse import unquote_to_bytes

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cucmd.cases.names import export_name, portable_name
from cucmd.job.collect import Collect
from cucmd.job.job import Job
from cucmd.job.timeouts import Timeouts

TRICKY = st.text(st.sampled_from("%4cCoOnNuUlL1.: /\\a\udcff²Aé\n"), max_size=12)
DEVICES = re.compile(r"(?is)(con|prn|aux|nul|conin\$|conout\$|(com|lpt)[0-9¹²³]) *(\..*)?")


@pytest.mark.parametrize(
    ("name", "made"),
    [
        ("a/cm/trace/SDL001_100_000074.txt.gz", None),
        ("a/größe 100%", None),
        (r"a/..\..\x", "a/..%5C..%5Cx"),
        (r"a/C:\x", "a/C%3A%5Cx"),
        (r"a/\\host\x", "a/%5C%5Chost%5Cx"),
        ("a/CON:", "a/%43ON%3A"),
        ("a/nul.txt", "a/%6Eul.txt"),
        ("a/COM1 .x/console", "a/%43OM1 .x/console"),
        ("a/x:ads", "a/x%3Aads"),
        ("a/trailing./dot ", "a/trailing%2E/dot%20"),
        ("a/100%25", "a/100%2525"),
        ("a/\udcff\n", "a/%FF%0A"),
    ],
)
def test_harmful_parts_are_escaped(name, made):
    assert portable_name(name) == (made or name)


def test_names_that_differ_in_case():
    made = {portable_name(name, alike=True) for name in ("n/Ab", "n/aB", "n/ab", "n/AB")}
    assert len({one.lower() for one in made}) == 4


@given(TRICKY | st.text(), st.booleans())
def test_any_name_can_be_read_back(name, alike):
    if any(0xD800 <= ord(char) < 0xDC80 or 0xDCFF < ord(char) < 0xE000 for char in name):
        return  # no name on a disk gives these
    made = portable_name(name, alike=alike)
    assert unquote_to_bytes(made) == name.encode("utf-8", "surrogateescape")
    assert not re.search(r'[\x00-\x1f\x7f<>:"\\|?*]', made)
    for part in made.split("/"):
        assert not part.endswith((".", " "))
        assert not DEVICES.fullmatch(part)


@pytest.mark.parametrize(
    ("case", "name"),
    [(None, "cucmd-3f2a00112233"), ("698123456", "case-698123456"), ("../a b/ü", "case-.._a_b__")],
)
def test_the_name_of_an_export(case, name):
    labels = {} if case is None else {"case": case}
    now = datetime.now(UTC)
    job = Job("3f2a00112233", now, Collect(()), Timeouts(), 1, (), labels=labels)
    assert export_name(job) == name
