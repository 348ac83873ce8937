"""CloudWatch: dashboards, alarms on metrics, and alarms on alarms."""

from __future__ import annotations

from typing import Any, Final

from cli.localcloud.provider.aws import Cloud
from cli.localcloud.provider.machine import Autoname, Live, Read, Row, Step, Tagging
from cli.localcloud.provider.mapping import to_api
from cli.localcloud.provider.values import Properties

DASHBOARD: Final = Row(
    type="aws:cloudwatch/dashboard:Dashboard",
    service="cloudwatch",
    create=Step("put_dashboard", "dashboardName dashboardBody"),
    id="={dashboardName}",
    read=Read("get_dashboard", "@", {"DashboardName": "id"}),
    key={"DashboardName": "id"},
    update=(Step("put_dashboard", "dashboardBody"),),
    delete=Step("delete_dashboards", key={"DashboardNames": "id"}),
    replace="dashboardName",
    documents="dashboardBody",
)

TAGS: Final = Tagging(
    add="tag_resource",
    remove="untag_resource",
    key="ResourceARN",
    read=Read("list_tags_for_resource", "Tags", {"ResourceARN": "arn"}),
)
# Where pulumi-aws and the API call the same thing differently.
_ALARM_NAMES: Final = {
    "name": "AlarmName",
    "arn": "AlarmArn",
    "evaluateLowSampleCountPercentiles": "EvaluateLowSampleCountPercentile",
    "metricQueries": "Metrics",
}
_OF_ALARMS: Final = (
    "name comparisonOperator evaluationPeriods datapointsToAlarm threshold treatMissingData "
    "alarmDescription actionsEnabled alarmActions okActions insufficientDataActions metricQueries "
    "namespace metricName dimensions period statistic extendedStatistic unit "
    "evaluateLowSampleCountPercentiles thresholdMetricId"
)


def _alarm(cloud: Cloud, state: Properties, _: frozenset[str]) -> list[dict[str, Any]]:
    """The whole alarm: what is left out of a request is gone."""
    members = cloud.input_shape("cloudwatch", "put_metric_alarm").members
    request: dict[str, Any] = {}
    for prop in _OF_ALARMS.split():
        value = state.get(prop)
        if value in (None, [], {}, ""):
            continue
        if prop == "metricQueries":
            value = [_query(query) for query in value]
        member = _ALARM_NAMES.get(prop) or next(m for m in members if m.lower() == prop.lower())
        pairs = prop == "dimensions"
        request[member] = _dimensions(value) if pairs else to_api(value, members[member], {}, prop)
    return [request]


def _query(query: dict[str, Any]) -> dict[str, Any]:
    """pulumi-aws's `metric` has inside what the API has around its metric; and data that is not
    wanted back is said so, where AWS's default is that it is."""
    rest = {"returnData": False} | {prop: v for prop, v in query.items() if prop != "metric"}
    metric = query.get("metric")
    if metric is None:
        return rest
    inner = {prop: metric[prop] for prop in ("namespace", "metricName") if prop in metric}
    if metric.get("dimensions"):
        inner["dimensions"] = _dimensions(metric["dimensions"])
    around = {prop: metric[prop] for prop in ("period", "stat", "unit") if prop in metric}
    return rest | {"metricStat": {"metric": inner, **around}}


def _dimensions(given: Any) -> Any:
    if not isinstance(given, dict):
        return given  # not known yet
    return [{"Name": name, "Value": value} for name, value in given.items()]


def _queries(alarm: Live) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = []
    for query in alarm.get("Metrics") or []:
        shown = {
            "id": query["Id"],
            "expression": query.get("Expression"),
            "label": query.get("Label"),
            "returnData": query.get("ReturnData"),
            "period": query.get("Period"),
        }
        if stat := query.get("MetricStat"):
            metric = stat["Metric"]
            shown["metric"] = {
                "namespace": metric.get("Namespace"),
                "metricName": metric.get("MetricName"),
                "dimensions": _map(metric.get("Dimensions") or []),
                "period": stat.get("Period"),
                "stat": stat.get("Stat"),
                "unit": stat.get("Unit"),
            }
        found.append({prop: value for prop, value in shown.items() if value is not None})
    return found


def _map(dimensions: list[dict[str, str]]) -> dict[str, str]:
    return {dimension["Name"]: dimension["Value"] for dimension in dimensions}


METRIC_ALARM: Final = Row(
    type="aws:cloudwatch/metricAlarm:MetricAlarm",
    service="cloudwatch",
    create=Step("put_metric_alarm", _OF_ALARMS, build=_alarm),
    id="={name}",
    read=Read(
        "describe_alarms",
        "MetricAlarms[0]",
        {"AlarmNames": "id"},
        fixed={"AlarmTypes": ["MetricAlarm"]},
    ),
    key={},
    update=(Step("put_metric_alarm", _OF_ALARMS, whole=True, build=_alarm),),
    delete=Step("delete_alarms", key={"AlarmNames": "id"}),
    names=_ALARM_NAMES,
    reads={
        "metricQueries": _queries,
        "dimensions": lambda alarm: _map(alarm.get("Dimensions") or []),
    },
    replace="name",
    defaults={"actionsEnabled": True, "treatMissingData": "missing"},
    absent="datapointsToAlarm",
    autoname=Autoname(),
    tags=TAGS,
)

_OF_COMPOSITES: Final = (
    "alarmName alarmRule alarmDescription actionsEnabled alarmActions okActions "
    "insufficientDataActions"
)

COMPOSITE_ALARM: Final = Row(
    type="aws:cloudwatch/compositeAlarm:CompositeAlarm",
    service="cloudwatch",
    create=Step("put_composite_alarm", _OF_COMPOSITES),
    id="={alarmName}",
    read=Read(
        "describe_alarms",
        "CompositeAlarms[0]",
        {"AlarmNames": "id"},
        fixed={"AlarmTypes": ["CompositeAlarm"]},
    ),
    key={"AlarmName": "alarmName"},
    update=(Step("put_composite_alarm", _OF_COMPOSITES, whole=True),),
    delete=Step("delete_alarms", key={"AlarmNames": "id"}),
    names={"arn": "AlarmArn"},
    replace="alarmName",
    defaults={"actionsEnabled": True},
    tags=TAGS,
)

ROWS: Final = (DASHBOARD, METRIC_ALARM, COMPOSITE_ALARM)
