"""Rules of alarms and dashboards: each with a request that keeps it and a twin that breaks it."""

from __future__ import annotations

import json
from copy import deepcopy
from typing import Any, Final

import pytest

from cli.localcloud.provider.aws import AwsError, Cloud
from tests.cli.localcloud.provider.conftest import REGION, Moto

Request = dict[str, Any]


def _stat(id: str, period: int = 60) -> Request:
    metric = {"Namespace": "AWS/AutoScaling", "MetricName": id}
    return {
        "Id": id,
        "MetricStat": {"Metric": metric, "Period": period, "Stat": "Average"},
        "ReturnData": False,
    }


def _result(expression: str, id: str = "result") -> Request:
    return {"Id": id, "Expression": expression, "ReturnData": True}


ALARM: Final[Request] = {
    "AlarmName": "web-below-floor",
    "ComparisonOperator": "GreaterThanOrEqualToThreshold",
    "Threshold": 1,
    "EvaluationPeriods": 10,
    "DatapointsToAlarm": 10,
    "Metrics": [_stat("serving"), _stat("floor"), _result('IF(SUM(METRICS("s")) < floor, 1, 0)')],
}
COMPOSITE: Final[Request] = {
    "AlarmName": "any",
    "AlarmRule": '(ALARM("a") OR NOT OK("b")) AND INSUFFICIENT_DATA("c")',
}
LINE: Final = ["AWS/AutoScaling", "GroupMinSize", "AutoScalingGroupName", "web", {"id": "floor"}]
METRICS: Final[Request] = {
    "type": "metric",
    "x": 12,
    "y": 0,
    "width": 12,
    "height": 6,
    "properties": {"region": "eu-north-1", "metrics": [LINE, [{"expression": "floor * 2"}]]},
}
TEXT: Final[Request] = {"type": "text", "width": 12, "properties": {"markdown": "# demo"}}

# (operation, what the twin says otherwise)
ALARMS: Final[list[tuple[str, Request, Request]]] = [
    ("put_metric_alarm", ALARM, {"MetricName": "GroupMinSize"}),
    ("put_metric_alarm", ALARM, {"Metrics": [_stat("floor")]}),
    ("put_metric_alarm", ALARM, {"Metrics": [_result("1 > 0"), _result("1 > 0", "other")]}),
    ("put_metric_alarm", ALARM, {"Metrics": [_stat("floor"), _result("flor * 2")]}),
    ("put_metric_alarm", ALARM, {"Metrics": [_stat("floor"), _result("ABS(floor")]}),
    ("put_metric_alarm", ALARM, {"Metrics": [_stat("Floor"), _result("1 > 0")]}),
    ("put_metric_alarm", ALARM, {"Metrics": [_stat("f"), _stat("f"), _result("f")]}),
    ("put_metric_alarm", ALARM, {"Metrics": [*(_stat(f"m{n}") for n in range(11)), _result("m1")]}),
    ("put_metric_alarm", ALARM, {"DatapointsToAlarm": 11}),
    ("put_metric_alarm", ALARM, {"EvaluationPeriods": 1441}),
    ("put_metric_alarm", ALARM, {"Metrics": [_stat("floor", 90), _result("floor")]}),
    ("put_metric_alarm", ALARM, {"Metrics": [_stat("floor", 3600 * 24), _result("floor")]}),
    ("put_metric_alarm", ALARM, {"TreatMissingData": "fine"}),
    ("put_composite_alarm", COMPOSITE, {"AlarmRule": 'ALARM("a") OR'}),
    ("put_composite_alarm", COMPOSITE, {"AlarmRule": 'ALERT("a")'}),
    (
        "put_composite_alarm",
        COMPOSITE,
        {"AlarmRule": " OR ".join(f'ALARM("{n}")' for n in range(101))},
    ),
]


@pytest.fixture
def cloud(moto: Moto) -> Cloud:
    return Cloud(moto.endpoint, REGION)


@pytest.mark.parametrize(("operation", "good", "otherwise"), ALARMS)
def test_an_alarm_that_aws_refuses_is_refused(
    cloud: Cloud, operation: str, good: Request, otherwise: Request
) -> None:
    cloud.check("cloudwatch", operation, deepcopy(good))
    with pytest.raises(AwsError) as refused:
        cloud.check("cloudwatch", operation, good | otherwise)
    assert refused.value.code == "ValidationError"


def _put(cloud: Cloud, body: Any) -> None:
    text = body if isinstance(body, str) else json.dumps(body)
    cloud.check("cloudwatch", "put_dashboard", {"DashboardName": "demo", "DashboardBody": text})


def test_an_alarm_may_look_back_a_day_and_with_hours_a_week(cloud: Cloud) -> None:
    cloud.check("cloudwatch", "put_metric_alarm", ALARM | {"EvaluationPeriods": 1440})
    hours = {"Metrics": [_stat("floor", 3600), _result("floor")]}
    cloud.check("cloudwatch", "put_metric_alarm", ALARM | hours | {"EvaluationPeriods": 168})
    with pytest.raises(AwsError, match="169 periods"):
        cloud.check("cloudwatch", "put_metric_alarm", ALARM | hours | {"EvaluationPeriods": 169})


def test_a_sound_dashboard_is_taken(cloud: Cloud) -> None:
    _put(cloud, {"widgets": [TEXT, METRICS]})


@pytest.mark.parametrize(
    ("changed", "complaint"),
    [
        ({"type": "chart"}, "type 'chart' is none of"),
        ({"properties": None}, "properties are missing"),
        ({"x": 13}, "leave the grid"),
        ({"x": 0}, "stands where"),
        ({"height": 0}, "height 0"),
        ({"type": "text"}, "a text needs markdown"),
        ({"type": "alarm"}, "alarms are missing"),
        ({"properties": {"metrics": [LINE]}}, "region is missing"),
        ({"properties": {"region": "x"}}, "metrics or annotations are missing"),
        ({"properties": {"region": "x", "metrics": [LINE, LINE]}}, "floor is given twice"),
        ({"properties": {"region": "x", "metrics": [LINE[:3]]}}, "pairs of dimensions"),
        ({"properties": {"region": "x", "metrics": [[{"label": "?"}]]}}, "neither a name nor"),
        (
            {"properties": {"region": "x", "metrics": [LINE, [{"expression": "flor"}]]}},
            "names flor: no such Id",
        ),
        ({"properties": {"region": "x", "metrics": [LINE] * 501}}, "501 metrics"),
    ],
)
def test_a_widget_that_aws_refuses_is_refused(
    cloud: Cloud, changed: Request, complaint: str
) -> None:
    with pytest.raises(AwsError, match=complaint) as refused:
        _put(cloud, {"widgets": [TEXT, METRICS | changed]})
    assert refused.value.code == "InvalidParameterInput"


@pytest.mark.parametrize("body", ["{", "[]", "{}", {"widgets": [TEXT] * 501}])
def test_a_body_that_aws_refuses_is_refused(cloud: Cloud, body: Any) -> None:
    with pytest.raises(AwsError) as refused:
        _put(cloud, body)
    assert refused.value.code == "InvalidParameterInput"


def test_an_alarm_is_made_of_alarms_that_are_there_and_keeps_them(moto: Moto) -> None:
    client = moto.client("cloudwatch")
    alarm = {key: ALARM[key] for key in ("ComparisonOperator", "Threshold", "EvaluationPeriods")}
    metric = {"Namespace": "AWS/SQS", "MetricName": "x", "Period": 60, "Statistic": "Sum"}
    rule = {"AlarmName": "rule-any", "AlarmRule": 'ALARM("rule-child")'}
    with pytest.raises(client.exceptions.ClientError, match="do not exist"):
        client.put_composite_alarm(**rule)
    client.put_metric_alarm(AlarmName="rule-child", **alarm, **metric)
    client.put_composite_alarm(**rule)
    with pytest.raises(client.exceptions.ClientError, match="rule-any depends on it"):
        client.delete_alarms(AlarmNames=["rule-child"])
    client.delete_alarms(AlarmNames=["rule-any"])
    client.delete_alarms(AlarmNames=["rule-child"])
