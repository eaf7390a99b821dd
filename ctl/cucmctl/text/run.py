"""PURE. Says which commands were run. Their output is printed as it is."""

from cucmctl.text.kind import KindText
from cucmd.protocol.jobs import Job, JobSummary

_SHOWN = 3  # as many as a list has of them


class RunText(KindText):
    def what(self, job: Job | JobSummary) -> str:
        return "; ".join((job.commands or ())[:_SHOWN])


TEXT = RunText()
