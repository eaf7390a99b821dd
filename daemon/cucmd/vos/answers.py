"""PURE. What the questions of `file get` are answered.

The one rule: without a receiver nothing is answered that lets a transfer begin.
"""

from __future__ import annotations

from cucmd.vos.commands import ReceiverAddress
from cucmd.vos.questions import Ask


class Answers:
    """`receiver`: where the node is to push. None: nowhere, only the sizes are wanted."""

    def __init__(self, receiver: ReceiverAddress | None) -> None:
        self.receiver = receiver

    def to(self, ask: Ask, *, sized: bool) -> str | None:
        """The answer, or None: there is none. `sized`: the sizes are known."""
        receiver = self.receiver
        if receiver is None:
            # A yes/no question may also come before the sizes (vos/NODES.md, section 5.2).
            yes_no = "n" if sized else "y"
            return yes_no if ask is Ask.YES_NO else None
        answers = {
            Ask.HOST: receiver.host,
            Ask.PORT: str(receiver.port),
            Ask.USER: receiver.username,
            Ask.PASSWORD: receiver.password,
            Ask.DIRECTORY: receiver.directory,
            Ask.HOST_KEY: "yes",
        }
        return answers.get(ask, "y")
