"""Whether AWS Backup's daily job and the database's maintenance are in each other's way."""

from __future__ import annotations

from typing import Final

from infra.checks.base import PLATFORM, Findings, Subject
from infra.settings.base import window_minutes

DAY_MINUTES: Final = 24 * 60
HOUR_MINUTES: Final = 60


def check(subject: Subject) -> Findings:
    """Warn of a backup that begins during the maintenance or in the hour before: it often fails.

    AWS Backup developer guide, "AWS Backup metrics with Amazon CloudWatch",
    NumberOfBackupJobsFailed.
    """
    platform = subject.settings.platform
    window, hour = platform.database.maintenance_window, platform.backup.hour
    begin, end = window_minutes(window)
    # On the day on which the maintenance begins, and the next.
    first = begin // DAY_MINUTES * DAY_MINUTES + hour * HOUR_MINUTES
    if any(
        begin - HOUR_MINUTES < job + HOUR_MINUTES and job < end
        for job in (first, first + DAY_MINUTES)
    ):
        return Findings(
            warnings=(
                f"{PLATFORM}/backup/hour: the backup of {hour:02}:00 begins during the database's "
                f"maintenance ({window}) or in the hour before, where it often fails; move one of "
                f"them ({PLATFORM}/database/maintenance_window)",
            )
        )
    return Findings()
