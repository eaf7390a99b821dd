"""Whatever a place holds, it is masked, or the text would not be written."""

from hypothesis import example, given
from hypothesis import strategies as st

from cucmmask.masks import Masks
from cucmmask.places import FIELDS
from cucmmask.search import Search
from cucmmask.text import Text

MASKS = Masks(b"a key of the company")
VALUES = st.one_of(
    st.text("abXY012 .-_:@/\\'\"=()[]{}<>&;,|^%+#*$!~?äß\u0130\1\3\4\5", min_size=1, max_size=14),
    st.text("0123456789", min_size=1, max_size=13),
    st.ip_addresses().map(str),
    st.text("0123456789ABCDEF", min_size=12, max_size=12).map("SEP{}".format),
    st.sampled_from(["Doe, Jane", "O'Neil", "a.b@c.example", "9.[2-9]XX", "%C3%BC%20", "1%40h"]),
)
LINES = (
    "{field}={value}",
    '{field}="{value}" x',
    "{field}='{value}' x",
    "[{field}={value}][x={value}]",
    '"{field}": "{value}"',
    "<{field}>{value}</{field}>",
    "{field}%3D{value}",
    'From: "{value}" <sip:{value}@{value}>',
    "CN=a,O={value},DC={value}",
    "|1,100,14,1.2^{value}^{value} |",
    "see {value} and /{value}/{value}.txt",
    "00 01 {dump} 02  ..",
)
TEXTS = st.lists(
    st.builds(
        lambda line, field, value: line.format(
            field=field, value=value, dump=value.encode().hex(" ")
        ),
        st.sampled_from(LINES),
        st.sampled_from([*FIELDS]),
        VALUES,
    ),
    min_size=1,
    max_size=4,
).map(lambda lines: "\n".join([*lines, ""]))


@given(TEXTS)
@example("fqcn=000000000000\nuserid=000000000000\n")
def test_nothing_is_left(text: str) -> None:
    collected = Text(MASKS)
    marks = collected.collect(text)
    masker = Text(MASKS, collected.found)
    masked = masker.mask(text)
    assert Search(MASKS, collected.found).left_in(text, masked, masker.fresh) == set()
    assert masked.count("\n") == text.count("\n")
    assert Text(MASKS, collected.found).mask(text, marks) == masked
