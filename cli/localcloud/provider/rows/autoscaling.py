"""Amazon EC2 Auto Scaling: groups, policies, scheduled actions."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Final
from zoneinfo import ZoneInfo

from cronsim import CronSim

from cli.localcloud.provider.aws import AwsError, Cloud
from cli.localcloud.provider.machine import Autoname, Live, Read, Row, Step
from cli.localcloud.provider.values import Properties
from infra import clock

_BY_GROUP: Final = {"AutoScalingGroupName": "autoscalingGroupName"}

# ---- Groups ----------------------------------------------------------------------------------


def _describe_group(cloud: Cloud, name: str) -> Live | None:
    answer = cloud.call("autoscaling", "describe_auto_scaling_groups", AutoScalingGroupNames=[name])
    return answer["AutoScalingGroups"][0] if answer["AutoScalingGroups"] else None


def _read_group(cloud: Cloud, state: Properties) -> Live | None:
    return _describe_group(cloud, state["id"])


def _sync_tags(cloud: Cloud, state: Properties, _: frozenset[str]) -> None:
    group = _describe_group(cloud, state["id"]) or {}
    at = {"ResourceId": state["id"], "ResourceType": "auto-scaling-group"}
    wanted = {tag["key"]: tag for tag in state.get("tags", [])}
    gone = [tag["Key"] for tag in group.get("Tags", []) if tag["Key"] not in wanted]
    if gone:
        cloud.call("autoscaling", "delete_tags", Tags=[at | {"Key": key} for key in gone])
    if wanted:
        cloud.call("autoscaling", "create_or_update_tags", Tags=_group_tags(state, state["id"]))


def _group_tags(state: Properties, name: str) -> list[dict[str, Any]]:
    return [
        {
            "ResourceId": name,
            "ResourceType": "auto-scaling-group",
            "Key": tag["key"],
            "Value": tag["value"],
            "PropagateAtLaunch": tag["propagateAtLaunch"],
        }
        for tag in state.get("tags", [])
    ]


def _sync_target_groups(cloud: Cloud, state: Properties, _: frozenset[str]) -> None:
    group = _describe_group(cloud, state["id"]) or {}
    present, wanted = group.get("TargetGroupARNs", []), state.get("targetGroupArns", [])
    added = [arn for arn in wanted if arn not in present]
    removed = [arn for arn in present if arn not in wanted]
    name = {"AutoScalingGroupName": state["id"]}
    for arns, operation in (
        (added, "attach_load_balancer_target_groups"),
        (removed, "detach_load_balancer_target_groups"),
    ):
        if arns:
            cloud.call("autoscaling", operation, **name, TargetGroupARNs=arns)


def _sync_metrics(cloud: Cloud, state: Properties, _: frozenset[str]) -> None:
    group = _describe_group(cloud, state["id"]) or {}
    present = {metric["Metric"] for metric in group.get("EnabledMetrics", [])}
    wanted = set(state.get("enabledMetrics", []))
    name = {"AutoScalingGroupName": state["id"]}
    if gone := sorted(present - wanted):
        cloud.call("autoscaling", "disable_metrics_collection", **name, Metrics=gone)
    if new := sorted(wanted - present):
        cloud.call(
            "autoscaling",
            "enable_metrics_collection",
            **name,
            Metrics=new,
            Granularity=state.get("metricsGranularity", "1Minute"),
        )


def _sync_processes(cloud: Cloud, state: Properties, _: frozenset[str]) -> None:
    group = _describe_group(cloud, state["id"]) or {}
    present = {process["ProcessName"] for process in group.get("SuspendedProcesses", [])}
    wanted = set(state.get("suspendedProcesses", []))
    name = {"AutoScalingGroupName": state["id"]}
    if gone := sorted(present - wanted):
        cloud.call("autoscaling", "resume_processes", **name, ScalingProcesses=gone)
    if new := sorted(wanted - present):
        cloud.call("autoscaling", "suspend_processes", **name, ScalingProcesses=new)


def _sync_warm_pool(cloud: Cloud, state: Properties, _: frozenset[str]) -> None:
    name = {"AutoScalingGroupName": state["id"]}
    pool = state.get("warmPool")
    if pool is None:
        cloud.call("autoscaling", "delete_warm_pool", **name, ForceDelete=True)
        return
    request: dict[str, Any] = {}
    for prop, member in {
        "maxGroupPreparedCapacity": "MaxGroupPreparedCapacity",
        "minSize": "MinSize",
        "poolState": "PoolState",
    }.items():
        if prop in pool:
            request[member] = pool[prop]
    if "instanceReusePolicy" in pool:
        request["InstanceReusePolicy"] = {
            "ReuseOnScaleIn": pool["instanceReusePolicy"].get("reuseOnScaleIn", False)
        }
    cloud.call("autoscaling", "put_warm_pool", **name, **request)


def _empty_group(cloud: Cloud, state: Properties, _: frozenset[str]) -> None:
    """Scale to nothing, as pulumi-aws does."""
    if _describe_group(cloud, state["id"]) is None:
        return
    cloud.call(
        "autoscaling",
        "update_auto_scaling_group",
        AutoScalingGroupName=state["id"],
        MinSize=0,
        MaxSize=0,
        DesiredCapacity=0,
    )


_REFRESH_PREFERENCES: Final = {
    "minHealthyPercentage": "MinHealthyPercentage",
    "maxHealthyPercentage": "MaxHealthyPercentage",
    "instanceWarmup": "InstanceWarmup",
    "skipMatching": "SkipMatching",
    "autoRollback": "AutoRollback",
    "scaleInProtectedInstances": "ScaleInProtectedInstances",
    "standbyInstances": "StandbyInstances",
}


def _refresh_instances(cloud: Cloud, state: Properties, _: frozenset[str]) -> None:
    """Start an instance refresh, in the place of one that runs, as pulumi-aws does where the group
    has one and what its instances are launched from has changed."""
    refresh = state.get("instanceRefresh")
    if refresh is None:
        return
    name = {"AutoScalingGroupName": state["id"]}
    given = refresh.get("preferences") or {}
    request: dict[str, Any] = name | {
        "Strategy": refresh["strategy"],
        "Preferences": {
            member: given[prop]
            for prop, member in _REFRESH_PREFERENCES.items()
            if given.get(prop) is not None
        },
    }
    if given.get("autoRollback"):
        # AWS goes back only from a configuration that the refresh itself names.
        group = _describe_group(cloud, state["id"]) or {}
        request["DesiredConfiguration"] = {
            member: group[member]
            for member in ("LaunchTemplate", "MixedInstancesPolicy")
            if member in group
        }
    try:
        cloud.call("autoscaling", "start_instance_refresh", **request)
    except AwsError as error:
        if error.code != "InstanceRefreshInProgress":
            raise
        cloud.call("autoscaling", "cancel_instance_refresh", **name)
        cloud.call("autoscaling", "start_instance_refresh", **request)


_CREATED_GROUP: Final = (
    "name minSize maxSize desiredCapacity defaultCooldown availabilityZones "
    "healthCheckType healthCheckGracePeriod placementGroup vpcZoneIdentifiers "
    "terminationPolicies protectFromScaleIn capacityRebalance initialLifecycleHooks "
    "serviceLinkedRoleArn maxInstanceLifetime desiredCapacityType defaultInstanceWarmup "
    "instanceMaintenancePolicy availabilityZoneDistribution launchTemplate mixedInstancesPolicy "
    "targetGroupArns tags"
)

GROUP: Final = Row(
    type="aws:autoscaling/group:Group",
    service="autoscaling",
    create=Step("create_auto_scaling_group", _CREATED_GROUP),
    id="={name}",
    read=_read_group,
    key={"AutoScalingGroupName": "id"},
    update=(
        Step("update_auto_scaling_group"),
        Step(props="tags", run=_sync_tags),
        Step(props="targetGroupArns", run=_sync_target_groups),
        Step(props="enabledMetrics metricsGranularity", run=_sync_metrics),
        Step(props="suspendedProcesses", run=_sync_processes),
        Step(props="warmPool", run=_sync_warm_pool),
        Step(props="launchTemplate mixedInstancesPolicy", run=_refresh_instances),
    ),
    delete=(
        Step(run=_empty_group),
        Step("delete_auto_scaling_group", fixed={"ForceDelete": True}),
    ),
    names={
        "name": "AutoScalingGroupName",
        "vpcZoneIdentifiers": "VPCZoneIdentifier",
        "protectFromScaleIn": "NewInstancesProtectedFromScaleIn",
        "initialLifecycleHooks": "LifecycleHookSpecificationList",
        "initialLifecycleHooks.name": "LifecycleHookName",
        "launchTemplate.id": "LaunchTemplateId",
        "launchTemplate.name": "LaunchTemplateName",
    },
    replace="name namePrefix initialLifecycleHooks",
    defaults={
        "healthCheckGracePeriod": 300,
        "metricsGranularity": "1Minute",
        "protectFromScaleIn": False,
        "forceDelete": False,
        "forceDeleteWarmPool": False,
        "waitForCapacityTimeout": "10m",
        "ignoreFailedScalingActivities": False,
    },
    computed="desiredCapacity defaultCooldown healthCheckType availabilityZones "
    "vpcZoneIdentifiers targetGroupArns serviceLinkedRoleArn capacityRebalance "
    "availabilityZoneDistribution capacityReservationSpecification",
    # A refresh of instances is asked for when the template changes; the group shows none.
    ignored="forceDelete forceDeleteWarmPool waitForCapacityTimeout minElbCapacity instanceRefresh "
    "waitForElbCapacity ignoreFailedScalingActivities metricsGranularity",
    ordered="terminationPolicies overrides",
    absent="warmPool mixedInstancesPolicy launchTemplate",
    cleared={"maxInstanceLifetime": 0, "defaultInstanceWarmup": -1},
    reads={
        "tags": "Tags",
        "vpcZoneIdentifiers": lambda g: [s for s in g.get("VPCZoneIdentifier", "").split(",") if s],
        "enabledMetrics": "EnabledMetrics[].Metric",
        "suspendedProcesses": "SuspendedProcesses[].ProcessName",
        "warmPool": "WarmPoolConfiguration",
        "arn": "AutoScalingGroupARN",
        "initialLifecycleHooks": lambda _: None,
        "loadBalancers": "LoadBalancerNames",
    },
    autoname=Autoname(max_length=255),
)

# ---- Lifecycle hooks -------------------------------------------------------------------------

HOOK: Final = Row(
    type="aws:autoscaling/lifecycleHook:LifecycleHook",
    service="autoscaling",
    create="put_lifecycle_hook",
    id="={name}",
    read=Read(
        "describe_lifecycle_hooks",
        "LifecycleHooks[0]",
        _BY_GROUP | {"LifecycleHookNames": "name"},
    ),
    key=_BY_GROUP | {"LifecycleHookName": "name"},
    # moto takes what is left out for its default.
    update=(Step("put_lifecycle_hook", whole=True),),
    delete="delete_lifecycle_hook",
    names={"name": "LifecycleHookName"},
    replace="name autoscalingGroupName",
    computed="defaultResult heartbeatTimeout",
    # moto shows a target and a role that nobody gave.
    reads={"notificationTargetArn": lambda _: None, "roleArn": lambda _: None},
    autoname=Autoname(max_length=255),
    import_id="autoscalingGroupName/name",
)

# ---- Policies --------------------------------------------------------------------------------

POLICY: Final = Row(
    type="aws:autoscaling/policy:Policy",
    service="autoscaling",
    create="put_scaling_policy",
    id="={name}",
    read=Read(
        "describe_policies",
        "ScalingPolicies[0]",
        _BY_GROUP | {"PolicyNames": "name"},
    ),
    key=_BY_GROUP | {"PolicyName": "name"},
    update=(Step("put_scaling_policy", whole=True),),
    delete="delete_policy",
    names={
        "name": "PolicyName",
        "predictiveScalingConfiguration.metricSpecification": "MetricSpecifications",
        "customizedMetricSpecification.metricDimensions": "Dimensions",
        "targetTrackingConfiguration.customizedMetricSpecification.metricDimensions": "Dimensions",
        "targetTrackingConfiguration.customizedMetricSpecification.metrics.metricStat.metric"
        ".dimensions.name": "Name",
    },
    replace="name autoscalingGroupName",
    defaults={"enabled": True, "policyType": "SimpleScaling"},
    computed="metricAggregationType",
    autoname=Autoname(max_length=255),
    import_id="autoscalingGroupName/name",
)

# ---- Scheduled actions -----------------------------------------------------------------------

_SIZES: Final = {
    "minSize": "MinSize",
    "maxSize": "MaxSize",
    "desiredCapacity": "DesiredCapacity",
}
# pulumi-aws's word for "leave as it is"; a size that is left out is 0.
UNCHANGED: Final = -1


def _action_request(cloud: Cloud, state: Properties, _: frozenset[str]) -> list[dict[str, Any]]:
    request: dict[str, Any] = {
        member: state[prop] for prop, member in _SIZES.items() if state[prop] != UNCHANGED
    }
    for prop, member in {
        "startTime": "StartTime",
        "endTime": "EndTime",
        "recurrence": "Recurrence",
        "timeZone": "TimeZone",
    }.items():
        if state.get(prop) is not None:
            request[member] = state[prop]
    return [{member: state[prop] for member, prop in _BY_ACTION.items()} | request]


_BY_ACTION: Final = _BY_GROUP | {"ScheduledActionName": "scheduledActionName"}


def _start_time(action: Live) -> datetime | None:
    """When the action fires next: AWS moves StartTime on as time passes; moto does not."""
    now, start = clock.now("local"), action.get("StartTime")
    if start is not None and (start > now or not action.get("Recurrence")):
        return start
    if not action.get("Recurrence"):
        return None
    zone = ZoneInfo(action.get("TimeZone") or "UTC")
    return next(CronSim(action["Recurrence"], now.astimezone(zone)))


_ACTION_INPUTS: Final = "minSize maxSize desiredCapacity startTime endTime recurrence timeZone"

SCHEDULE: Final = Row(
    type="aws:autoscaling/schedule:Schedule",
    service="autoscaling",
    create=Step(
        "put_scheduled_update_group_action",
        f"autoscalingGroupName scheduledActionName {_ACTION_INPUTS}",
        build=_action_request,
    ),
    id="={scheduledActionName}",
    read=Read(
        "describe_scheduled_actions",
        "ScheduledUpdateGroupActions[0]",
        _BY_GROUP | {"ScheduledActionNames": "scheduledActionName"},
    ),
    key=_BY_ACTION,
    update=(
        Step(
            "put_scheduled_update_group_action",
            _ACTION_INPUTS,
            build=_action_request,
        ),
    ),
    delete="delete_scheduled_action",
    replace="autoscalingGroupName scheduledActionName",
    defaults=dict.fromkeys(_SIZES, 0),
    computed="startTime endTime recurrence timeZone",
    reads={
        "minSize": lambda action: action.get("MinSize", UNCHANGED),
        "maxSize": lambda action: action.get("MaxSize", UNCHANGED),
        "desiredCapacity": lambda action: action.get("DesiredCapacity", UNCHANGED),
        "startTime": _start_time,
        "arn": "ScheduledActionARN",
    },
    import_id="autoscalingGroupName/scheduledActionName",
)

ROWS: Final = (GROUP, HOOK, POLICY, SCHEDULE)
