"""What is told of a stack: alarms on metrics, and alarms on those, so that one cause is one mail.

Each says what is wrong and what to do next: who reads it has just been woken.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final, Literal

import pulumi

from infra.backup import COMPLETION_MINUTES, START_MINUTES, TEST_DATES
from infra.floors import log_group
from infra.measures import (
    FLOOR_METRIC,
    HOUR,
    MINUTE,
    Capacity,
    Cluster,
    Jobs,
    Metric,
    Tier,
    Watched,
    used,
)
from infra.settings.observability import ObservabilitySettings

# CloudWatch API reference, PutCompositeAlarm: "as many as 100 underlying alarms".
MAX_ALARMS_OF_A_COMPOSITE: Final = 100
# After a scheduled action raised the floor: launch, health checks, AWS's clock.
BOOT_MARGIN_MINUTES: Final = 5
# Fewer requests a minute than this say nothing about errors or latency.
LEAST_REQUESTS: Final = 60
MINUTES: Final = 5
WRITER_CPU_PERCENT: Final = 90
CONNECTIONS_PERCENT: Final = 80
# A page that was just saved shows its old state: what Moodle is told to expect by default.
REPLICA_LAG_MILLISECONDS: Final = 1000
CACHE_MEMORY_PERCENT: Final = 90
DAY_MINUTES: Final = 24 * 60
# From one daily backup to the next there may be a day, the window to start and that to complete;
# AWS Backup sends its metrics some minutes later. Made whole hours, with one to spare.
BACKUP_HOURS: Final = 24 + (START_MINUTES + COMPLETION_MINUTES) // 60 + 1
# 1 in the hours without a restore of a restore test's week, Friday to Thursday, else 0. That
# week's Sunday is DATE less the days since then, since all of it lies in one month; DAY is 1 on
# Mondays, 7 on Sundays, both in UTC. They are taken of the writer's CPU, which is there each hour:
# of restores AWS sends nothing while there are none. CloudWatch user guide, "Using math expressions
# with CloudWatch metrics".
_SUNDAY: Final = "(DATE(hourly) - IF(DAY(hourly) >= 5, DAY(hourly) - 7, DAY(hourly)))"
RESTORE_MISSING: Final = (
    f"IF(FILL(completed, 0) < 1 AND {_SUNDAY} >= {TEST_DATES[0]} AND {_SUNDAY} <= {TEST_DATES[1]}, "
    "1, 0)"
)
# From Sunday 00:00, when the test begins at the earliest, to the end of Thursday: a restore leaves
# fewer than so many behind it, so that one that came is never told. Without one it is told from
# Wednesday 00:00 until Thursday is over; the test may begin a day late.
RESTORE_HOURS: Final = 5 * 24

# What AWS Backup's kinds are to who reads a message.
KINDS: Final[Mapping[str, str]] = {
    "Aurora": "the database",
    "EFS": "the file system",
    "S3": "the files' bucket",
}

Silence = Literal["well", "told", "wrong"]
Topic = Literal["users", "capacity", "database", "cache", "jobs", "backups"]
# What is wrong when one of a topic's alarms is on, by the composite's name.
COMPOSITES: Final[Mapping[Topic, tuple[str, str]]] = {
    "users": (
        "users-are-hurt",
        "Users get errors, wait too long, or instances fail their health checks.",
    ),
    "capacity": (
        "capacity-is-missing",
        "Fewer units are in service than the floor asks for, or an instance refresh failed.",
    ),
    "database": ("database-is-strained", "The database runs out of connections, CPU or time."),
    "cache": ("cache-is-strained", "The cache is full: sessions may be evicted, users signed out."),
    "jobs": ("jobs-are-late", "Jobs wait too long, or failed for good."),
    "backups": ("backups-fail", "A backup or a restore test failed, or did not run."),
}


@dataclass(frozen=True)
class Alarm:
    """On, when `expression` is at least `threshold` for all of `periods` periods in a row.

    `silence` is what no data means: that all is `well`, that it is `told` as such, or `wrong` as
    the expression itself.
    """

    name: str
    topic: Topic
    metrics: Mapping[str, Metric]
    expression: str
    label: str
    threshold: float
    periods: int
    text: str
    silence: Silence = "well"
    period: int = MINUTE


def below_floor(stack: str, capacity: Capacity, settings: ObservabilitySettings) -> Alarm:
    """Fewer units in service than the floor, for the minutes that the settings say.

    Where a boot takes longer, each scheduled rise of the floor would be told: there it waits for
    the boot.
    """
    minutes = settings.below_floor_minutes
    if not isinstance(capacity.floor, int):
        minutes = max(minutes, capacity.boot_minutes + BOOT_MARGIN_MINUTES)
    expression = f"IF({capacity.serving} < {capacity.floor}, 1, 0)"
    metrics = used(capacity.metrics, expression)
    published = any(metric.name == FLOOR_METRIC for metric in metrics.values())
    return Alarm(
        name=f"{capacity.name}-below-floor",
        topic="capacity",
        metrics=metrics,
        expression=expression,
        label=f"fewer {capacity.unit} than the floor",
        threshold=1,
        periods=minutes,
        text=f"{capacity.name} of {stack} has had fewer {capacity.unit} in service than its floor "
        f"({capacity.floor_is}) for {minutes} minutes. Next: `firstbell status -s {stack}` shows "
        f"floor, in service and what comes next; `firstbell season verify -s {stack}` whether the "
        f"schedule itself is right; `firstbell drift -s {stack}` what somebody changed. If units "
        "are started and vanish, their application does not answer: read "
        "/var/log/cloud-init-output.log on one, by Session Manager. If none are started, look at "
        "the scaling activities in the console: a quota, or AWS is out of that instance type."
        + (
            " If it has insufficient data instead, nobody publishes the floor: the log group "
            f"{log_group(stack)} says why."
            if published
            else ""
        ),
        silence="told",
    )


def refresh_untold(stack: str, rules: Sequence[pulumi.Input[str]]) -> Alarm:
    """A failed instance refresh is told by an event, once: this one is on when that was lost.

    EventBridge user guide, "Monitoring Amazon EventBridge": FailedInvocations, by RuleName.
    """
    failed = {
        f"failed{number}": Metric("AWS/Events", "FailedInvocations", "Sum", {"RuleName": rule})
        for number, rule in enumerate(rules, start=1)
    }
    return Alarm(
        name="refresh-untold",
        topic="capacity",
        metrics=failed,
        expression=" + ".join(f"FILL({id}, 0)" for id in failed),
        label="failed refreshes of which no message came",
        threshold=1,
        periods=1,
        period=HOUR,
        text=f"An instance refresh of {stack} failed, and the message of it could not be sent. "
        f"Next: `firstbell status -s {stack}` shows which, and how far it came. It does not go "
        "back by itself: if the new image is bad, write the old one into the stack's file and run "
        f"`firstbell up -s {stack}`; `firstbell drift -s {stack}` shows whether the topic's policy "
        "was changed.",
    )


def of_tier(stack: str, name: str, tier: Tier, settings: ObservabilitySettings) -> Iterator[Alarm]:
    """Errors, latency and health of one web tier."""
    requests = tier.metric("RequestCount", "Sum")
    last = (
        f"Next: `firstbell status -s {stack}`; the dashboard {stack} shows since when. If a "
        f"release or a change preceded it, `firstbell drift -s {stack}` shows whether what runs is "
        "what was planned."
    )
    yield Alarm(
        name=f"{name}-errors",
        topic="users",
        metrics={"requests": requests, "errors": tier.metric("HTTPCode_Target_5XX_Count", "Sum")},
        expression=f"IF(requests >= {LEAST_REQUESTS}, 100 * FILL(errors, 0) / requests, 0)",
        label="server errors, % of requests",
        threshold=settings.error_percent,
        periods=MINUTES,
        text=f"Instances of tier {name} of {stack} answer at least {settings.error_percent:g} % of "
        f"requests with 5xx. {last} Read the application's log on an instance, by Session Manager; "
        "check the database's and the cache's alarms first.",
    )
    yield Alarm(
        name=f"{name}-latency",
        topic="users",
        metrics={"requests": requests, "p95": tier.metric("TargetResponseTime", "p95")},
        expression=f"IF(requests >= {LEAST_REQUESTS}, p95, 0)",
        label="95th percentile of the answers, s",
        threshold=settings.latency_seconds,
        periods=MINUTES,
        text=f"One in twenty answers of tier {name} of {stack} takes {settings.latency_seconds:g} "
        f"s or longer. {last} If demand is above what is in service, raise the tier's minimum in "
        "the console for now, then the season; if not, look at the database's CPU and slow "
        "statements.",
    )
    yield Alarm(
        name=f"{name}-unhealthy",
        topic="users",
        metrics={
            "unhealthy": tier.metric("UnHealthyHostCount", "Maximum"),
            "healthy": tier.metric("HealthyHostCount", "Minimum"),
        },
        expression="IF(unhealthy > 0, 100 * unhealthy / (unhealthy + healthy), 0)",
        label="instances that fail their health checks, %",
        threshold=settings.unhealthy_percent,
        periods=MINUTES,
        text=f"At least {settings.unhealthy_percent:g} % of the instances of tier {name} of "
        f"{stack} fail their health checks; Auto Scaling replaces them. {last} If they fail right "
        "after their start, the image or cloud-init is broken: cancel the instance refresh.",
    )


def of_balancer(stack: str, watched: Watched, settings: ObservabilitySettings) -> Alarm:
    """What the load balancer itself answers; RequestCount leaves out what found no instance."""
    return Alarm(
        name="balancer-errors",
        topic="users",
        metrics={
            "requests": watched.of_balancer("RequestCount", "Sum"),
            "refused": watched.of_balancer("HTTPCode_ELB_5XX_Count", "Sum"),
        },
        expression=f"IF(FILL(requests, 0) + FILL(refused, 0) >= {LEAST_REQUESTS}, "
        "100 * FILL(refused, 0) / (FILL(requests, 0) + FILL(refused, 0)), 0)",
        label="answers of the load balancer itself, % of requests",
        threshold=settings.error_percent,
        periods=MINUTES,
        text=f"The load balancer of {stack} answers at least {settings.error_percent:g} % of "
        "requests with 5xx itself: no instance is healthy (503), or none answers in time (504). "
        f"Next: `firstbell status -s {stack}`, then the tiers' alarms on the dashboard {stack}.",
    )


def of_jobs(stack: str, name: str, jobs: Jobs, settings: ObservabilitySettings) -> Iterator[Alarm]:
    """The queue of one kind of job."""
    if jobs.oldest_seconds is not None:
        minutes = settings.job_wait_minutes + (DAY_MINUTES if jobs.own_hours else 0)
        yield Alarm(
            name=f"{name}-waiting",
            topic="jobs",
            metrics={"oldest": jobs.oldest_seconds},
            expression="oldest / 60",
            label="age of the oldest job, minutes",
            threshold=minutes,
            periods=MINUTES,
            text=f"A job has waited for {minutes} minutes in the queue of {name} of {stack}. Next: "
            f"`firstbell status -s {stack}` shows whether {name} has instances, and its hours; the "
            "dashboard whether the queue grows. A job that is taken again and again fails: see "
            "the workers' log.",
        )
    if jobs.failed is not None:
        yield Alarm(
            name=f"{name}-failed",
            topic="jobs",
            metrics={"failed": jobs.failed},
            expression="failed",
            label="jobs that failed for good",
            threshold=1,
            periods=1,
            text=f"A job of {name} of {stack} failed as often as it may, and lies in the queue of "
            "failed ones. Next: read it there, mend the cause, move it back (in the console: start "
            f"DLQ redrive). `firstbell outputs -s {stack}` names the queues.",
        )


def of_database(stack: str, cluster: Cluster) -> Iterator[Alarm]:
    """The writer's connections and CPU, and how far the replicas are behind."""
    if cluster.most_connections is not None:
        most = cluster.most_connections * CONNECTIONS_PERCENT // 100
        yield Alarm(
            name="database-connections",
            topic="database",
            metrics={"connections": cluster.metric("DatabaseConnections", "Maximum")},
            expression="connections",
            label="connections to the writer",
            threshold=most,
            periods=MINUTES,
            text=f"The writer of {stack} has {most} connections or more, {CONNECTIONS_PERCENT} % "
            f"of what it takes; beyond that, sign-ins fail. Next: `firstbell preview -s {stack}` "
            "reckons what the tiers may open; lower a tier's max in the console for now, then "
            "write database/proxy: true or take a larger class.",
        )
    yield Alarm(
        name="database-cpu",
        topic="database",
        metrics={"cpu": cluster.metric("CPUUtilization", "Average")},
        expression="cpu",
        label="CPU of the writer, %",
        threshold=WRITER_CPU_PERCENT,
        periods=10,
        text=f"The writer of {stack} works at {WRITER_CPU_PERCENT} % of its CPU. Next: Performance "
        "Insights shows which statements; the log has those slower than slow_query_milliseconds. "
        f"Reads belong on the replicas: `firstbell status -s {stack}` shows how many there are.",
    )
    if cluster.has_replicas:
        yield Alarm(
            name="database-lag",
            topic="database",
            metrics={"lag": cluster.metric("AuroraReplicaLag", "Maximum", "READER")},
            expression="lag",
            label="lag of the slowest replica, ms",
            threshold=REPLICA_LAG_MILLISECONDS,
            periods=MINUTES,
            text=f"A replica of {stack} is {REPLICA_LAG_MILLISECONDS} ms behind the writer: pages "
            "show what was, not what is. Next: look for long reads on the replicas in Performance "
            f"Insights; `firstbell status -s {stack}` shows whether replicas are missing.",
        )


def of_cache(stack: str, memory_percent: Metric) -> Alarm:
    """The cache's memory: sessions live in it."""
    return Alarm(
        name="cache-memory",
        topic="cache",
        metrics={"memory": memory_percent},
        expression="memory",
        label="memory of the cache that is taken, %",
        threshold=CACHE_MEMORY_PERCENT,
        periods=10,
        text=f"The cache of {stack} is {CACHE_MEMORY_PERCENT} % full; when it is full, keys go, "
        "and with them sessions. Next: take a larger cache/node_type in the stack's file and run "
        f"`firstbell preview -s {stack}`; it changes in place.",
    )


def of_backups(stack: str, watched: Watched) -> Iterator[Alarm]:
    """Jobs of the stack's vault; restore tests run from it."""
    yield Alarm(
        name="backup-failed",
        topic="backups",
        metrics={
            "failed": watched.of_backups("NumberOfBackupJobsFailed"),
            "expired": watched.of_backups("NumberOfBackupJobsExpired"),
            "aborted": watched.of_backups("NumberOfBackupJobsAborted"),
        },
        expression="FILL(failed, 0) + FILL(expired, 0) + FILL(aborted, 0)",
        label="backups that did not succeed",
        threshold=1,
        periods=1,
        period=HOUR,
        text=f"A backup of {stack} failed, was aborted, or did not start in time. Next: AWS "
        "Backup's jobs in the console say why; start it by hand there today. "
        f"`firstbell drift -s {stack}` shows whether plan or role were changed.",
    )
    for kind, suffix in _each(watched.backed_up):
        what = KINDS[kind]
        yield Alarm(
            name=f"backup-missing{suffix}",
            topic="backups",
            metrics={
                "completed": watched.of_backups(
                    "NumberOfBackupJobsCompleted", kind if suffix else None
                )
            },
            # Without a single job AWS sends no metric at all.
            expression="IF(completed >= 1, 0, 1)",
            label=f"not one backup of {what} was completed",
            threshold=1,
            periods=BACKUP_HOURS,
            period=HOUR,
            text=f"Not one backup of {what} of {stack} was completed for {BACKUP_HOURS} hours; "
            "what is new says so until its first night is over. Next: "
            f"`firstbell drift -s {stack}` shows whether plan, selection or role were changed; AWS "
            "Backup's jobs in the console whether one waits. If there is none, its service "
            f"({kind}) is not opted in in this Region: console, Settings, Service opt-in. Start a "
            "backup by hand today.",
            silence="wrong",
        )
    yield Alarm(
        name="restore-test-failed",
        topic="backups",
        metrics={"failed": watched.of_backups("NumberOfRestoreJobsFailed")},
        expression="failed",
        label="restores that failed",
        threshold=1,
        periods=1,
        period=HOUR,
        text=f"A restore from the backups of {stack} failed: until it works, there is no backup "
        "that one can trust. Next: AWS Backup's restore jobs in the console say why; restore the "
        f"latest by hand. `firstbell drift -s {stack}` shows whether the role was changed.",
    )
    for kind, suffix in _each(watched.restored):
        what = KINDS[kind]
        yield Alarm(
            name=f"restore-test-missing{suffix}",
            topic="backups",
            metrics={
                "completed": watched.of_backups(
                    "NumberOfRestoreJobsCompleted", kind if suffix else None
                ),
                "hourly": replace(watched.cluster.metric("CPUUtilization", "Average"), period=HOUR),
            },
            expression=RESTORE_MISSING,
            label=f"not one restore of {what} since this month's test",
            threshold=1,
            periods=RESTORE_HOURS,
            period=HOUR,
            text=f"This month's restore test of {stack}, on the second Sunday, has restored "
            f"nothing of {what} until Wednesday: nobody knows whether those backups work. Next: "
            f"`firstbell drift -s {stack}` shows whether plan, selections or role were changed; "
            "AWS Backup's restore testing in the console whether a job waits, or found no recovery "
            "point of the last week. Restore the latest by hand.",
        )


def _each(kinds: Sequence[str]) -> Iterator[tuple[str, str]]:
    """Each kind, and what its alarm's name ends in. What the vault counts of all kinds together is
    that of the only one: it needs no dimension more."""
    for kind in kinds:
        yield kind, f"-{kind.lower()}" if len(kinds) > 1 else ""


def of_stack(stack: str, watched: Watched, settings: ObservabilitySettings) -> Sequence[Alarm]:
    """Every alarm on metrics that a stack has."""
    found = [below_floor(stack, capacity, settings) for capacity in watched.alarmed]
    if watched.refresh_rules:
        found.append(refresh_untold(stack, watched.refresh_rules))
    for name, tier in watched.tiers.items():
        found += of_tier(stack, name, tier, settings)
    found.append(of_balancer(stack, watched, settings))
    for name, jobs in watched.jobs.items():
        found += of_jobs(stack, name, jobs, settings)
    found += of_database(stack, watched.cluster)
    if watched.cache is not None:
        found.append(of_cache(stack, watched.cache.memory_percent))
    return [*found, *of_backups(stack, watched)]
