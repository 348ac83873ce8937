"""The one dashboard of a stack: what demand there is, what the floor is, what serves, what is left.

Pure: what is shown of which measures. `observability` makes the resource.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import pulumi

from infra.alarms import CONNECTIONS_PERCENT
from infra.measures import Capacity, Cluster, Jobs, Metric, Tier, Watched, used

# The width of the console's grid: CloudWatch API reference, "Dashboard body structure and syntax".
COLUMNS: Final = 24
WIDTH: Final = 12
HEIGHT: Final = 6
TEXT_HEIGHT: Final = 4
ALARMS_HEIGHT: Final = 3


@dataclass(frozen=True)
class Line:
    """One line of a widget: a metric or, with `of`, an expression over metrics."""

    label: str
    metric: Metric | None = None
    expression: str = ""
    of: Mapping[str, Metric] | None = None
    right: bool = False


@dataclass(frozen=True)
class Widget:
    """`about` says what one reads from it; `marks` are horizontal lines, as label -> value."""

    title: str
    about: str
    axis: str
    lines: Sequence[Line]
    marks: Mapping[str, float] | None = None
    right_axis: str = ""


def of_capacity(capacity: Capacity) -> Widget:
    """Demand, floor, in service and headroom, all in numbers of units."""
    lines = [
        Line("demand", expression=capacity.demand, of=capacity.metrics),
        Line("in service", expression=capacity.serving, of=capacity.metrics),
        Line(
            "headroom",
            expression=f"({capacity.serving}) - ({capacity.demand})",
            of=capacity.metrics,
        ),
    ]
    marks: dict[str, float] | None = None
    if isinstance(capacity.floor, int):
        marks = {f"floor: {capacity.floor_is}": float(capacity.floor)}
    else:
        lines.insert(1, Line("scheduled floor", expression=capacity.floor, of=capacity.metrics))
    return Widget(
        f"{capacity.name}: demand, floor, in service, headroom",
        f"How many {capacity.unit} the load of this moment needs, the floor ({capacity.floor_is}), "
        "how many serve, and how many are to spare. In service below the floor is an alarm; "
        "headroom below zero means that users wait.",
        capacity.unit,
        lines,
        marks,
    )


def of_tier(name: str, tier: Tier) -> Widget:
    return Widget(
        f"{name}: answers",
        f"Requests to tier {name} a minute, server errors among them, and how long the slowest "
        "twentieth of the answers takes.",
        "a minute",
        [
            Line("requests", tier.metric("RequestCount", "Sum")),
            Line("server errors (5xx)", tier.metric("HTTPCode_Target_5XX_Count", "Sum")),
            Line("unhealthy instances", tier.metric("UnHealthyHostCount", "Maximum")),
            Line("p95, s", tier.metric("TargetResponseTime", "p95"), right=True),
        ],
        right_axis="seconds",
    )


def of_balancer(watched: Watched) -> Widget:
    return Widget(
        "Load balancer: errors and latency",
        "What the load balancer answers itself because no instance was healthy or in time, the "
        "errors of all tiers, connections it refused, and the latency of all tiers together.",
        "a minute",
        [
            Line("its own 5xx", watched.of_balancer("HTTPCode_ELB_5XX_Count", "Sum")),
            Line("5xx of the tiers", watched.of_balancer("HTTPCode_Target_5XX_Count", "Sum")),
            Line("refused connections", watched.of_balancer("RejectedConnectionCount", "Sum")),
            Line("p50, s", watched.of_balancer("TargetResponseTime", "p50"), right=True),
            Line("p95, s", watched.of_balancer("TargetResponseTime", "p95"), right=True),
        ],
        right_axis="seconds",
    )


def of_database(cluster: Cluster) -> Iterator[Widget]:
    most = cluster.most_connections
    marks = (
        {
            "most": float(most),
            f"alarm at {CONNECTIONS_PERCENT} %": float(most * CONNECTIONS_PERCENT // 100),
        }
        if most
        else None
    )
    readers = cluster.has_replicas
    yield Widget(
        "Database: connections",
        "Connections to the writer against what its class takes, and those to all replicas.",
        "connections",
        [
            Line("writer", cluster.metric("DatabaseConnections", "Maximum")),
            *(
                [Line("replicas", cluster.metric("DatabaseConnections", "Sum", "READER"))]
                if readers
                else []
            ),
        ],
        marks,
    )
    yield Widget(
        "Database: CPU and lag",
        "CPU of the writer and, on average, of the replicas; how far the slowest one is behind.",
        "%",
        [
            Line("writer", cluster.metric("CPUUtilization", "Average")),
            *(
                [
                    Line("replicas", cluster.metric("CPUUtilization", "Average", "READER")),
                    Line(
                        "lag", cluster.metric("AuroraReplicaLag", "Maximum", "READER"), right=True
                    ),
                ]
                if readers
                else []
            ),
        ],
        right_axis="milliseconds" if readers else "",
    )


def of_jobs(jobs: Mapping[str, Jobs]) -> Iterator[Widget]:
    queued = {name: each for name, each in jobs.items() if each.oldest_seconds}
    if not queued:
        return
    lines: list[Line] = []
    for name, each in queued.items():
        lines.append(Line(f"{name}: oldest job", each.oldest_seconds))
        lines.append(Line(f"{name}: failed jobs", each.failed, right=True))
    yield Widget(
        "Queues: age of the oldest job",
        "How long the oldest job of each kind has waited, and how many failed for good.",
        "seconds",
        lines,
        right_axis="jobs",
    )


def widgets(watched: Watched) -> list[Widget]:
    """Every widget with lines, in the order in which they stand."""
    found = [of_capacity(capacity) for capacity in watched.capacities]
    found.append(of_balancer(watched))
    found += [of_tier(name, tier) for name, tier in watched.tiers.items()]
    found += of_database(watched.cluster)
    found += of_jobs(watched.jobs)
    if watched.cache is not None:
        found.append(
            Widget(
                "Cache: memory",
                "How much of the memory is taken; when it is full, keys and sessions go.",
                "%",
                [Line("memory taken", watched.cache.memory_percent)],
            )
        )
    found.append(
        Widget(
            "Backups",
            "Jobs of each hour that succeeded, and backups and restore tests that failed.",
            "jobs",
            [
                Line("completed", watched.of_backups("NumberOfBackupJobsCompleted")),
                Line("failed", watched.of_backups("NumberOfBackupJobsFailed")),
                Line("restores completed", watched.of_backups("NumberOfRestoreJobsCompleted")),
                Line("restores failed", watched.of_backups("NumberOfRestoreJobsFailed")),
            ],
        )
    )
    return found


def heading(stack: str, season: str | None) -> str:
    """What stands above everything: where the floors come from, and what to do next."""
    schedule = (
        f"Floors are those of `{season}`; `firstbell season show -s {stack}` draws the year, "
        f"`firstbell season verify -s {stack}` compares what is live."
        if season
        else "No season moves the floors: they are the minimums of the stack's file."
    )
    return (
        f"# {stack}\n{schedule}\n\nSomething wrong? `firstbell status -s {stack}` shows floor, "
        f"in service and the next change; `firstbell drift -s {stack}` what somebody changed. "
        "Made by firstbell: changes in the console are lost at the next `up`."
    )


def body(
    stack: str,
    region: str,
    season: str | None,
    watched: Watched,
    alarms: Sequence[pulumi.Input[str]],
) -> dict[str, Any]:
    """The dashboard as CloudWatch takes it; `alarms` are ARNs."""
    placed: list[dict[str, Any]] = [
        {
            "type": "text",
            "x": 0,
            "y": 0,
            "width": COLUMNS,
            "height": TEXT_HEIGHT,
            "properties": {"markdown": heading(stack, season)},
        },
        {
            "type": "alarm",
            "x": 0,
            "y": TEXT_HEIGHT,
            "width": COLUMNS,
            "height": ALARMS_HEIGHT,
            "properties": {"title": "Alarms", "alarms": list(alarms)},
        },
    ]
    for place, widget in enumerate(widgets(watched)):
        row, column = divmod(place, COLUMNS // WIDTH)
        placed.append(
            {
                "type": "metric",
                "x": column * WIDTH,
                "y": TEXT_HEIGHT + ALARMS_HEIGHT + row * HEIGHT,
                "width": WIDTH,
                "height": HEIGHT,
                "properties": _properties(widget, region),
            }
        )
    return {"widgets": placed}


def _properties(widget: Widget, region: str) -> dict[str, Any]:
    axes: dict[str, dict[str, Any]] = {"left": {"label": widget.axis, "showUnits": False}}
    if widget.right_axis:
        axes["right"] = {"label": widget.right_axis, "showUnits": False, "min": 0}
    marks = [{"label": label, "value": value} for label, value in (widget.marks or {}).items()]
    return {
        "title": widget.title,
        "view": "timeSeries",
        "region": region,
        "period": 60,
        "yAxis": axes,
        "metrics": _metrics(widget.lines),
    } | ({"annotations": {"horizontal": marks}} if marks else {})


def _metrics(lines: Sequence[Line]) -> list[list[Any]]:
    """Lines as CloudWatch writes them; the metrics of expressions follow once, unseen."""
    shown: list[list[Any]] = []
    unseen: dict[str, Metric] = {}
    for number, line in enumerate(lines):
        options: dict[str, Any] = {"label": line.label}
        if line.right:
            options["yAxis"] = "right"
        if line.metric is not None:
            shown.append(_series(line.metric, options))
        else:
            shown.append([options | {"id": f"e{number}", "expression": line.expression}])
            unseen |= used(line.of or {}, line.expression)
    return shown + [_series(metric, {"id": id, "visible": False}) for id, metric in unseen.items()]


def _series(metric: Metric, options: Mapping[str, Any]) -> list[Any]:
    dimensions = [part for pair in metric.dimensions.items() for part in pair]
    how = {"stat": metric.stat, "period": metric.period}
    return [metric.namespace, metric.name, *dimensions, {**how, **options}]
