"""PURE. Says which file was followed. Its lines are printed as they are."""

from cucmctl.text.kind import KindText
from cucmd.protocol.jobs import Job, JobSummary


class FollowText(KindText):
    def what(self, job: Job | JobSummary) -> str:
        return "; ".join(job.commands or ())


TEXT = FollowText()
