"""What `systemctl status` shows in its line `Status:`.

It is sent only when it differs from what was sent last.
"""

from __future__ import annotations

from cucmd.service import systemd


class Status:
    """The number of jobs, and why the last reload failed, if it did."""

    def __init__(self) -> None:
        self._jobs = ""
        self._not_reloaded = ""
        self._sent = ""

    def show_jobs(self, count: int) -> None:
        """`count` jobs are queued or running."""
        self._jobs = f"{count} job{'s' * (count != 1)} queued or running"
        self._send()

    def show_reload(self, failure: str = "") -> None:
        """A reload has ended. `failure` is why it failed; empty if it succeeded."""
        self._not_reloaded = f"not reloaded: {failure}" if failure else ""
        self._send()

    def _send(self) -> None:
        text = "; ".join(filter(None, (self._jobs, self._not_reloaded)))
        if text != self._sent:
            self._sent = text
            systemd.notify(STATUS=text)
