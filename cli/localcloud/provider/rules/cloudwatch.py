"""CloudWatch: what alarms and dashboards must be like for AWS to take them."""

from __future__ import annotations

import ast
import json
import re
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, Final

from cli.localcloud.provider.rules.base import RefusedError, Request, refuse_unless, rule

if TYPE_CHECKING:
    from cli.localcloud.provider.aws import Cloud

_SERVICE: Final = "cloudwatch"
_CODE: Final = "ValidationError"
_DASHBOARD: Final = "InvalidParameterInput"
# CloudWatch API reference, PutMetricAlarm, EvaluationPeriods: a day; seven days for periods of an
# hour or longer.
DAY_SECONDS: Final = 86_400
WEEK_SECONDS: Final = 7 * DAY_SECONDS
# CloudWatch user guide, "Creating a CloudWatch alarm based on a metric math expression".
MAX_METRICS: Final = 10
# PutCompositeAlarm: "as many as 100 underlying alarms".
MAX_UNDERLYING: Final = 100
# CloudWatch user guide, "CloudWatch service quotas": dashboards.
MAX_WIDGETS: Final = 500
MAX_METRICS_OF_A_WIDGET: Final = 500
MAX_METRICS_OF_A_DASHBOARD: Final = 2_500
# "Dashboard body structure and syntax": a grid of 24 columns, widgets up to 1000 units high.
COLUMNS: Final = 24
MAX_HEIGHT: Final = 1_000
_ID: Final = re.compile(r"[a-z][A-Za-z0-9_]*")
_STATE: Final = re.compile(r'(?:ALARM|OK|INSUFFICIENT_DATA)\("?[^()"]+"?\)')
_KINDS: Final = frozenset({"metric", "text", "log", "alarm", "explorer", "custom"})


@rule(_SERVICE, "put_metric_alarm")
def one_result_is_watched(_: Cloud, request: Request) -> None:
    queries: list[dict[str, Any]] = request.get("Metrics", [])
    refuse_unless(
        not queries or "MetricName" not in request,
        _CODE,
        "Metrics and MetricName cannot be given together",
    )
    if not queries:
        return
    watched = [query for query in queries if query.get("ReturnData", True)]
    refuse_unless(
        len(watched) == 1,
        _CODE,
        f"{len(watched)} elements of Metrics have ReturnData true; exactly one must",
    )
    metrics = [query for query in queries if "Expression" not in query]
    refuse_unless(
        len(metrics) <= MAX_METRICS, _CODE, f"{len(metrics)} metrics; at most {MAX_METRICS}"
    )
    _expressions_are_sound(
        _CODE, {str(query["Id"]): str(query.get("Expression", "")) for query in queries}
    )
    refuse_unless(
        len({query["Id"] for query in queries}) == len(queries), _CODE, "an Id is given twice"
    )


def _expressions_are_sound(code: str, expressions: dict[str, str]) -> None:
    """Ids are well formed, and every name in an expression is one of them."""
    for id, expression in expressions.items():
        refuse_unless(
            _ID.fullmatch(id) is not None,
            code,
            f"the Id {id!r} does not begin with a small letter, or has other characters",
        )
        bare = re.sub(r"\"[^\"]*\"|'[^']*'", "", expression)
        unknown = sorted(set(re.findall(r"\b[a-z]\w*\b", bare)) - expressions.keys())
        refuse_unless(
            not unknown,
            code,
            f"the expression {expression!r} names {', '.join(unknown)}: no such Id",
        )
        refuse_unless(
            bare.count("(") == bare.count(")"), code, f"the expression {expression!r} is not closed"
        )


@rule(_SERVICE, "put_metric_alarm")
def periods_are_sound(_: Cloud, request: Request) -> None:
    periods = request.get("EvaluationPeriods")
    points = request.get("DatapointsToAlarm")
    if periods is None:
        return
    refuse_unless(
        points is None or points <= periods,
        _CODE,
        f"DatapointsToAlarm {points} is more than EvaluationPeriods {periods}",
    )
    given = [request.get("Period")]
    given += [query.get("MetricStat", {}).get("Period") for query in request.get("Metrics", [])]
    seconds = [int(period) for period in given if period is not None]
    for period in seconds:
        refuse_unless(
            period in (10, 20, 30) or period % 60 == 0,
            _CODE,
            f"the period {period} is none of 10, 20, 30 and the multiples of 60",
        )
    if seconds:
        longest = max(seconds)
        most = WEEK_SECONDS if longest >= 3600 else DAY_SECONDS
        refuse_unless(
            longest * int(periods) <= most,
            _CODE,
            f"{periods} periods of {longest} seconds are more than {most} seconds",
        )


@rule(_SERVICE, "put_metric_alarm")
def missing_data_is_named(_: Cloud, request: Request) -> None:
    known = ("breaching", "notBreaching", "ignore", "missing")
    treated = request.get("TreatMissingData", "missing")
    refuse_unless(treated in known, _CODE, f"TreatMissingData {treated!r}: {', '.join(known)}")


@rule(_SERVICE, "put_composite_alarm")
def rules_of_composites_are_sound(_: Cloud, request: Request) -> None:
    text = request.get("AlarmRule")
    if text is None:
        return
    alarms = set(_STATE.findall(text))
    words = {"AND": "and", "OR": "or", "NOT": "not", "TRUE": "True", "FALSE": "False"}
    logic = re.sub(r"[^\s()]+", lambda word: words.get(word[0], "?"), _STATE.sub("TRUE", text))
    try:
        ast.parse(logic.strip(), mode="eval")
    except SyntaxError as error:
        raise RefusedError(_CODE, f"the AlarmRule {text!r} cannot be parsed") from error
    refuse_unless(
        len(alarms) <= MAX_UNDERLYING,
        _CODE,
        f"{len(alarms)} alarms in the AlarmRule; at most {MAX_UNDERLYING}",
    )


@rule(_SERVICE, "put_dashboard")
def dashboards_are_sound(_: Cloud, request: Request) -> None:
    body = request.get("DashboardBody")
    if body is None:
        return
    try:
        document: Any = json.loads(body)
    except ValueError as error:
        raise RefusedError(_DASHBOARD, f"the body is no JSON: {error}") from error
    widgets: Any = document.get("widgets") if isinstance(document, dict) else None
    if not isinstance(widgets, list):
        raise RefusedError(_DASHBOARD, "the body has no list `widgets`")
    refuse_unless(
        len(widgets) <= MAX_WIDGETS, _DASHBOARD, f"{len(widgets)} widgets; at most {MAX_WIDGETS}"
    )
    for at, widget in enumerate(widgets):
        for fault in _faults(widget):
            raise RefusedError(_DASHBOARD, f"/widgets/{at}: {fault}")
    metrics = sum(len(_lines(widget)) for widget in widgets)
    refuse_unless(
        metrics <= MAX_METRICS_OF_A_DASHBOARD,
        _DASHBOARD,
        f"{metrics} metrics; at most {MAX_METRICS_OF_A_DASHBOARD}",
    )
    _apart(widgets)


def _lines(widget: dict[str, Any]) -> list[Any]:
    return widget.get("properties", {}).get("metrics", [])


def _faults(widget: dict[str, Any]) -> Iterator[str]:
    kind, properties = widget.get("type"), widget.get("properties")
    if kind not in _KINDS:
        yield f"type {kind!r} is none of {', '.join(sorted(_KINDS))}"
    if not isinstance(properties, dict):
        yield "properties are missing"
        return
    x, width, height = widget.get("x", 0), widget.get("width", 6), widget.get("height", 6)
    if not 0 <= x <= COLUMNS - 1 or not 1 <= width <= COLUMNS or x + width > COLUMNS:
        yield f"x {x} and width {width} leave the grid of {COLUMNS} columns"
    if not 1 <= height <= MAX_HEIGHT:
        yield f"height {height} is not between 1 and {MAX_HEIGHT}"
    if kind == "text" and not properties.get("markdown"):
        yield "a text needs markdown"
    if kind == "alarm" and not properties.get("alarms"):
        yield "alarms are missing"
    if kind == "metric":
        yield from _faults_of_metrics(properties)


def _faults_of_metrics(properties: dict[str, Any]) -> Iterator[str]:
    if "region" not in properties:
        yield "region is missing"
    lines = properties.get("metrics", [])
    if not lines and not properties.get("annotations"):
        yield "metrics or annotations are missing"
    if len(lines) > MAX_METRICS_OF_A_WIDGET:
        yield f"{len(lines)} metrics; at most {MAX_METRICS_OF_A_WIDGET}"
    expressions: dict[str, str] = {}
    for number, line in enumerate(lines):
        options = line[-1] if isinstance(line[-1], dict) else {}
        id = str(options.get("id", f"m{number}unnamed"))
        if id in expressions:
            yield f"the id {id} is given twice"
        expressions[id] = str(options.get("expression", ""))
        names = [part for part in line if not isinstance(part, dict)]
        if not names and not expressions[id]:
            yield f"metric {number} has neither a name nor an expression"
        # Namespace, name, and pairs of a dimension's name and value.
        if names and (len(names) < 2 or len(names) % 2 or not all(map(str, names))):
            yield f"metric {number} is not a namespace, a name and pairs of dimensions: {names}"
    try:
        _expressions_are_sound(_DASHBOARD, expressions)
    except RefusedError as refusal:
        yield refusal.message


def _apart(widgets: list[dict[str, Any]]) -> None:
    """AWS moves what overlaps; then nothing stands where the program says."""
    taken: dict[tuple[int, int], int] = {}
    for at, widget in enumerate(widgets):
        x, y = widget.get("x", 0), widget.get("y", 0)
        for column in range(x, x + widget.get("width", 6)):
            for row in range(y, y + widget.get("height", 6)):
                other = taken.setdefault((column, row), at)
                refuse_unless(
                    other == at, _DASHBOARD, f"/widgets/{at} stands where /widgets/{other} does"
                )
