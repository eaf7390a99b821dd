"""Virtual time that does not run ahead of a thread, as in the tests of jobs."""

from unit.jobs.conftest import autojump_clock

__all__ = ["autojump_clock"]
