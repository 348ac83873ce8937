"""The life of what autoscaling makes."""

from __future__ import annotations

import base64
from typing import Any, Final

import pulumi
import pulumi_aws as aws

from tests.cli.localcloud.provider.chapters.base import Client, Drift, Shared, Variant


def _new_template(client: Client, state: dict[str, Any]) -> None:
    client("ec2").create_launch_template_version(
        LaunchTemplateId=state["id"],
        SourceVersion="$Latest",
        LaunchTemplateData={"InstanceType": "t3.nano"},
    )


def program(variant: Variant, shared: Shared) -> None:
    template = aws.ec2.LaunchTemplate(
        "template",
        image_id="ami-12c6146b",
        instance_type=variant.instance_type,
        update_default_version=True,
        description=variant.color,
        iam_instance_profile={"name": shared.profile.name},
        metadata_options={"http_tokens": "required", "http_endpoint": "enabled"},
        block_device_mappings=[
            {
                "device_name": "/dev/xvda",
                "ebs": {"encrypted": "true", "volume_type": "gp3", "volume_size": 20},
            }
        ],
        network_interfaces=[
            {
                "device_index": 0,
                "associate_public_ip_address": "false",
                "security_groups": [shared.security.id],
            }
        ],
        tag_specifications=[{"resource_type": "instance", "tags": {"color": variant.color}}],
        user_data=base64.b64encode(b"#!/bin/sh\n").decode(),
        tags=variant.tags,
    )
    group = aws.autoscaling.Group(
        "group",
        min_size=1,
        max_size=6 if variant.color == "blue" else 8,
        vpc_zone_identifiers=[subnet.id for subnet in shared.subnets],
        target_group_arns=[shared.targets.arn],
        health_check_type="ELB",
        health_check_grace_period=120,
        default_instance_warmup=120,
        mixed_instances_policy={
            "instances_distribution": {"on_demand_percentage_above_base_capacity": 100},
            "launch_template": {
                "launch_template_specification": {
                    "launch_template_id": template.id,
                    "version": template.latest_version.apply(str),
                },
                "overrides": [
                    {"instance_type": variant.instance_type},
                    {"instance_type": "t3.large"},
                ],
            },
        },
        instance_refresh={"strategy": "Rolling", "preferences": {"min_healthy_percentage": 90}},
        warm_pool={"pool_state": "Stopped", "max_group_prepared_capacity": 4},
        enabled_metrics=[aws.autoscaling.Metric.GROUP_MIN_SIZE],
        suspended_processes=["AZRebalance"],
        termination_policies=["OldestLaunchTemplate", "Default"],
        tags=[{"key": "color", "value": variant.color, "propagate_at_launch": True}],
    )
    aws.autoscaling.LifecycleHook(
        "ready",
        autoscaling_group_name=group.name,
        lifecycle_transition="autoscaling:EC2_INSTANCE_LAUNCHING",
        default_result="ABANDON",
        heartbeat_timeout=variant.either(480, 600),
    )
    aws.autoscaling.Policy(
        "backlog",
        autoscaling_group_name=group.name,
        policy_type="TargetTrackingScaling",
        target_tracking_configuration={
            "customized_metric_specification": {
                "metrics": [
                    {
                        "id": "waiting",
                        "metric_stat": {
                            "metric": {
                                "namespace": "AWS/SQS",
                                "metric_name": "ApproximateNumberOfMessagesVisible",
                                "dimensions": [{"name": "QueueName", "value": "jobs"}],
                            },
                            "stat": "Sum",
                        },
                        "return_data": False,
                    },
                    {"id": "backlog", "expression": "waiting / 2", "return_data": True},
                ]
            },
            "target_value": variant.either(10.0, 20.0),
        },
    )
    aws.autoscaling.Policy(
        "tracking",
        autoscaling_group_name=group.name,
        policy_type="TargetTrackingScaling",
        target_tracking_configuration={
            "predefined_metric_specification": {
                "predefined_metric_type": "ASGAverageCPUUtilization"
            },
            "target_value": 60.0 if variant.color == "blue" else 50.0,
        },
    )
    aws.autoscaling.Schedule(
        "morning",
        autoscaling_group_name=group.name,
        scheduled_action_name=f"{pulumi.get_stack()}-{variant.name}-morning",
        recurrence="45 7 * * 1-5" if variant.name == "a" else "40 7 * * 1-5",
        time_zone="Europe/Stockholm",
        min_size=3 if variant.color == "blue" else 4,
        max_size=-1,
        desired_capacity=-1,
    )
    shared.made["group"] = group


DRIFTS: Final[dict[str, Drift]] = {
    "template": _new_template,
    "group": lambda c, s: c("autoscaling").update_auto_scaling_group(
        AutoScalingGroupName=s["id"], MaxSize=2
    ),
    "tracking": lambda c, s: c("autoscaling").put_scaling_policy(
        AutoScalingGroupName=s["outputs"]["autoscalingGroupName"],
        PolicyName=s["id"],
        PolicyType="TargetTrackingScaling",
        TargetTrackingConfiguration={
            "PredefinedMetricSpecification": {"PredefinedMetricType": "ASGAverageCPUUtilization"},
            "TargetValue": 99.0,
        },
    ),
    "ready": lambda c, s: c("autoscaling").put_lifecycle_hook(
        AutoScalingGroupName=s["outputs"]["autoscalingGroupName"],
        LifecycleHookName=s["id"],
        LifecycleTransition="autoscaling:EC2_INSTANCE_LAUNCHING",
        DefaultResult="CONTINUE",
        HeartbeatTimeout=30,
    ),
    "backlog": lambda c, s: c("autoscaling").put_scaling_policy(
        AutoScalingGroupName=s["outputs"]["autoscalingGroupName"],
        PolicyName=s["id"],
        PolicyType="TargetTrackingScaling",
        TargetTrackingConfiguration={
            "CustomizedMetricSpecification": {
                "Metrics": [
                    {
                        "Id": "waiting",
                        "MetricStat": {
                            "Metric": {
                                "Namespace": "AWS/SQS",
                                "MetricName": "ApproximateNumberOfMessagesVisible",
                                "Dimensions": [{"Name": "QueueName", "Value": "other"}],
                            },
                            "Stat": "Sum",
                        },
                        "ReturnData": False,
                    },
                    {"Id": "backlog", "Expression": "waiting / 3", "ReturnData": True},
                ]
            },
            "TargetValue": 10.0,
        },
    ),
    "morning": lambda c, s: c("autoscaling").put_scheduled_update_group_action(
        AutoScalingGroupName=s["outputs"]["autoscalingGroupName"],
        ScheduledActionName=s["id"],
        Recurrence=s["outputs"]["recurrence"],
        TimeZone="Europe/Stockholm",
        MinSize=1,
    ),
}


def left_over(client: Client) -> list[Any]:
    scaling = client("autoscaling")
    return [
        *client("ec2").describe_launch_templates()["LaunchTemplates"],
        *scaling.describe_auto_scaling_groups()["AutoScalingGroups"],
        *scaling.describe_policies()["ScalingPolicies"],
        *scaling.describe_scheduled_actions()["ScheduledUpdateGroupActions"],
    ]
