"""`workers`: the instances that do what nobody waits for: jobs from a queue, cron, imports."""

from __future__ import annotations

from typing import Final

from pydantic import Field

from infra.settings.base import Name, Settings, rule
from infra.settings.fleet import FleetSettings

# SQS developer guide, "Amazon SQS quotas": visibility timeout and retention.
MAX_VISIBILITY_MINUTES: Final = 12 * 60
MAX_RETENTION_DAYS: Final = 14
# What a stack calls the workers that belong to no kind of job.
GENERAL: Final = "workers"


class QueueSettings(Settings):
    """The queue of one kind of job; what fails too often goes to a queue of its own."""

    jobs_per_instance: int = Field(
        10, ge=1, description="Jobs that wait for each instance before another one is started."
    )
    longest_job_minutes: int = Field(
        30, ge=1, le=MAX_VISIBILITY_MINUTES, description="Then another instance may take the job."
    )
    attempts: int = Field(
        3, ge=1, le=1000, description="So often a job is tried before it goes to the failed ones."
    )
    keep_days: int = Field(
        14, ge=1, le=MAX_RETENTION_DAYS, description="How long waiting and failed jobs are kept."
    )


class JobSettings(FleetSettings):
    """One kind of job: a group of instances and, for a generic application, its queue.

    Moodle keeps its tasks in the database: its workers scale by CPU and run cron.
    """

    min: int = Field(1, ge=0, description="Instances that always run; 0 where jobs may wait.")
    max: int = Field(4, ge=1, description="The most that schedule and load may start.")
    queue: QueueSettings | None = None

    @property
    def queue_settings(self) -> QueueSettings | None:
        """The queue, None where the application has none."""
        if self.application.kind == "moodle":
            return None
        return self.queue or QueueSettings.model_validate({})

    @rule()
    def _queue_is_used(self) -> None:
        if self.queue is not None and self.application.kind == "moodle":
            raise ValueError(
                "queue: Moodle takes its tasks from the database, not from a queue; leave it out"
            )


class WorkerSettings(JobSettings):
    """The general workers, and groups of their own for kinds of jobs with hours of their own.

    A season schedules each under its name: `workers`, or the kind's (`imports`).
    """

    jobs: dict[Name, JobSettings] = Field(default_factory=dict[str, JobSettings])

    @property
    def groups(self) -> dict[str, JobSettings]:
        """Every group by its season name, the general one first."""
        return {GENERAL: self, **self.jobs}
