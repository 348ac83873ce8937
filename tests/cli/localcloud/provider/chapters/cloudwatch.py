"""The life of what cloudwatch makes."""

from __future__ import annotations

import json
from typing import Any, Final

import pulumi
import pulumi_aws as aws

from tests.cli.localcloud.provider.chapters.base import Client, Drift, Shared, Variant


def program(variant: Variant, shared: Shared) -> None:
    name = f"{pulumi.get_stack()}-{variant.name}"
    floor = aws.cloudwatch.MetricAlarm(
        "alarm-below-floor",
        name=f"{name}-floor",
        alarm_description="too few",
        comparison_operator="GreaterThanOrEqualToThreshold",
        threshold=1,
        evaluation_periods=variant.either(10, 12),
        datapoints_to_alarm=10,
        treat_missing_data="missing",
        insufficient_data_actions=[shared.topic.arn],
        metric_queries=[
            aws.cloudwatch.MetricAlarmMetricQueryArgs(
                id=id,
                metric=aws.cloudwatch.MetricAlarmMetricQueryMetricArgs(
                    namespace="AWS/AutoScaling",
                    metric_name=metric,
                    dimensions={"AutoScalingGroupName": shared.group.name},
                    period=60,
                    stat="Minimum",
                ),
            )
            for id, metric in (("floor", "GroupMinSize"), ("serving", "GroupInServiceInstances"))
        ]
        + [
            aws.cloudwatch.MetricAlarmMetricQueryArgs(
                id="below",
                expression="IF(serving < floor, 1, 0)",
                label=variant.either("below", "under"),
                return_data=True,
            )
        ],
        tags=variant.tags,
    )
    errors = aws.cloudwatch.MetricAlarm(
        "alarm-errors",
        name=f"{name}-errors",
        comparison_operator="GreaterThanThreshold",
        threshold=variant.either(5, 7),
        evaluation_periods=1,
        namespace="AWS/SQS",
        metric_name="ApproximateNumberOfMessagesVisible",
        dimensions={"QueueName": "jobs"},
        period=300,
        statistic="Sum",
        alarm_actions=[shared.topic.arn],
        tags=variant.tags,
    )
    aws.cloudwatch.CompositeAlarm(
        "alarm-on-alarms",
        alarm_name=f"{name}-any",
        alarm_description=variant.either("either", "both"),
        alarm_rule=pulumi.Output.format(
            variant.either('ALARM("{0}") OR ALARM("{1}")', 'ALARM("{0}") AND ALARM("{1}")'),
            floor.name,
            errors.name,
        ),
        alarm_actions=[shared.topic.arn],
        tags=variant.tags,
    )
    aws.cloudwatch.Dashboard(
        "dashboard",
        dashboard_name=name,
        dashboard_body=json.dumps(
            {
                "widgets": [
                    {
                        "type": "text",
                        "x": 0,
                        "y": 0,
                        "width": 24,
                        "height": 2,
                        "properties": {"markdown": variant.color},
                    }
                ]
            }
        ),
    )


def _threshold(client: Client, state: dict[str, Any]) -> None:
    cloudwatch = client("cloudwatch")
    (alarm,) = cloudwatch.describe_alarms(AlarmNames=[state["id"]])["MetricAlarms"]
    kept = {
        name: alarm[name]
        for name in (
            "AlarmName",
            "AlarmActions",
            "InsufficientDataActions",
            "AlarmDescription",
            "ComparisonOperator",
            "EvaluationPeriods",
            "DatapointsToAlarm",
            "Metrics",
            "Namespace",
            "MetricName",
            "Dimensions",
            "Period",
            "Statistic",
            "TreatMissingData",
        )
        if alarm.get(name)
    }
    cloudwatch.put_metric_alarm(**kept, Threshold=1000)


DRIFTS: Final[dict[str, Drift]] = {
    "alarm-below-floor": _threshold,
    "alarm-errors": _threshold,
    "alarm-on-alarms": lambda c, s: c("cloudwatch").put_composite_alarm(
        AlarmName=s["id"], AlarmRule="FALSE"
    ),
    "dashboard": lambda c, s: c("cloudwatch").put_dashboard(
        DashboardName=s["id"], DashboardBody='{"widgets": []}'
    ),
}


def left_over(client: Client) -> list[Any]:
    cloudwatch = client("cloudwatch")
    alarms = cloudwatch.describe_alarms(AlarmTypes=["MetricAlarm", "CompositeAlarm"])
    return [
        *alarms["MetricAlarms"],
        *alarms["CompositeAlarms"],
        *cloudwatch.list_dashboards()["DashboardEntries"],
    ]
