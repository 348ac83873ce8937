"""`backup`: AWS Backup of what holds data, and restores that are tried out."""

from __future__ import annotations

from typing import Final

from pydantic import Field

from infra.settings.base import Settings, rule

# What carries this tag, with the stack's name, is backed up.
BACKUP_TAG: Final = "firstbell:backup"


class BackupSettings(Settings):
    """Daily and monthly backups of database and files, restored once a month as a test."""

    hour: int = Field(2, ge=0, le=23, description="When the daily backup may begin, in UTC.")
    daily_keep_days: int = Field(
        35, ge=1, le=36_500, description="How long a daily backup is kept."
    )
    monthly_keep_days: int = Field(
        365, ge=1, le=36_500, description="How long the backup of a month's first day is kept."
    )
    restore_test: bool = Field(
        True, description="Restore the latest backup each month, look whether it works, remove it."
    )
    restore_test_bucket: bool = Field(
        True,
        description="Restore the bucket of `files` as well: every object is copied each month, "
        "which costs with its size.",
    )

    @rule()
    def _monthly_lasts_longer(self) -> None:
        if self.monthly_keep_days < self.daily_keep_days:
            raise ValueError(
                f"monthly_keep_days {self.monthly_keep_days} is less than daily_keep_days "
                f"{self.daily_keep_days}: monthly backups would be gone before the daily ones; "
                "raise monthly_keep_days"
            )
