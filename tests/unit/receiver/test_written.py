"""Bytes that were written, against a set of all of them."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from cucmd.receiver.upload import WrittenBytes

PARTS = 3
BLOCKS = st.tuples(st.integers(0, 30), st.integers(0, 6))


def parts_with_a_gap_before(written: set[int]) -> int:
    return sum(1 for at in written if at > 0 and at - 1 not in written)


@given(st.lists(BLOCKS, max_size=40))
def test_each_byte_is_counted_once_and_the_parts_stay_within_their_limit(
    blocks: list[tuple[int, int]],
) -> None:
    tracked, written = WrittenBytes(PARTS), set[int]()
    for start, length in blocks:
        after = written | set(range(start, start + length))
        fits = tracked.fits(start, start + length)
        assert fits == (parts_with_a_gap_before(after) <= PARTS)
        if fits:
            tracked.add(start, start + length)
            written = after
        assert tracked.count == len(written)
        assert tracked.whole == next(at for at in range(100) if at not in written)


def test_blocks_in_order_leave_nothing_to_remember() -> None:
    tracked = WrittenBytes(0)
    for start in range(0, 10_000, 100):
        assert tracked.fits(start, start + 100)
        tracked.add(start, start + 100)
    assert (tracked.count, tracked.whole) == (10_000, 10_000)


def test_sixty_four_blocks_in_the_worst_order_are_taken() -> None:
    """OpenSSH's sftp has so many under way; another client may send them in any order."""
    tracked = WrittenBytes(32)
    size = 32 * 1024
    for number in (*range(1, 64, 2), *range(0, 64, 2)):
        assert tracked.fits(number * size, (number + 1) * size)
        tracked.add(number * size, (number + 1) * size)
    assert tracked.whole == 64 * size
