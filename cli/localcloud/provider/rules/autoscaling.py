"""Amazon EC2 Auto Scaling: what PutScheduledUpdateGroupAction and its like refuse."""

from __future__ import annotations

import re
import threading
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final

from cronsim import CronSim

from cli.localcloud.provider.rules.base import (
    Request,
    check_window,
    cron,
    moment,
    refuse_unless,
    rule,
    zone,
)
from infra import clock
from infra.season.limits import MAX_SCALING_POLICIES_PER_GROUP, MAX_SCHEDULED_ACTIONS_PER_GROUP

if TYPE_CHECKING:
    from cli.localcloud.provider.aws import Cloud

_CODE: Final = "ValidationError"


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


# EC2 Auto Scaling API reference, EnableMetricsCollection.
_METRICS: Final = _words(
    """GroupMinSize GroupMaxSize GroupDesiredCapacity GroupInServiceInstances GroupPendingInstances
    GroupStandbyInstances GroupTerminatingInstances GroupTotalInstances GroupInServiceCapacity
    GroupPendingCapacity GroupStandbyCapacity GroupTerminatingCapacity GroupTotalCapacity
    WarmPoolDesiredCapacity WarmPoolWarmedCapacity WarmPoolPendingCapacity
    WarmPoolTerminatingCapacity WarmPoolTotalCapacity GroupAndWarmPoolDesiredCapacity
    GroupAndWarmPoolTotalCapacity"""
)
# EC2 Auto Scaling API reference, SuspendProcesses.
_PROCESSES: Final = _words(
    """Launch Terminate AddToLoadBalancer AlarmNotification AZRebalance HealthCheck InstanceRefresh
    ReplaceUnhealthy ScheduledActions"""
)
# EC2 Auto Scaling user guide, "Configure termination policies".
_TERMINATION: Final = _words(
    """Default AllocationStrategy ClosestToNextInstanceHour NewestInstance OldestInstance
    OldestLaunchConfiguration OldestLaunchTemplate"""
)
_HEALTH_CHECKS: Final = frozenset({"EC2", "ELB", "VPC_LATTICE", "EBS"})
_POLICY_TYPES: Final = frozenset(
    {"SimpleScaling", "StepScaling", "TargetTrackingScaling", "PredictiveScaling"}
)
DAY_SECONDS: Final = 86_400


def _check_sizes(sizes: dict[str, int | None]) -> None:
    low, high, desired = (sizes.get(k) for k in ("MinSize", "MaxSize", "DesiredCapacity"))
    for name, size in sizes.items():
        refuse_unless(size is None or size >= 0, _CODE, f"{name} {size} must not be negative")
    refuse_unless(
        low is None or high is None or low <= high,
        _CODE,
        f"Max bound, {high}, must be greater than or equal to min bound, {low}",
    )
    fits = (low is None or desired is None or low <= desired) and (
        high is None or desired is None or desired <= high
    )
    refuse_unless(
        fits,
        _CODE,
        f"Desired capacity:{desired} must be between the specified min size:{low} and "
        f"max size:{high}",
    )


def _sizes(request: Request) -> dict[str, int | None]:
    return {k: request.get(k) for k in ("MinSize", "MaxSize", "DesiredCapacity")}


def _group(cloud: Cloud, name: str) -> dict[str, Any] | None:
    answer = cloud.call("autoscaling", "describe_auto_scaling_groups", AutoScalingGroupNames=[name])
    return next(iter(answer["AutoScalingGroups"]), None)


# ---- Groups ----------------------------------------------------------------------------------


@rule("autoscaling", "create_auto_scaling_group", "update_auto_scaling_group")
def sizes_fit(_: Cloud, request: Request) -> None:
    _check_sizes(_sizes(request))


@rule("autoscaling", "create_auto_scaling_group", "update_auto_scaling_group")
def settings_are_known(_: Cloud, request: Request) -> None:
    for policy in request.get("TerminationPolicies", []):
        known = policy in _TERMINATION or policy.startswith("arn:")
        refuse_unless(known, _CODE, f"Termination policy {policy!r} is not supported")
    for kind in filter(None, request.get("HealthCheckType", "").split(",")):
        refuse_unless(kind in _HEALTH_CHECKS, _CODE, f"Unknown health check type {kind!r}")
    lifetime = request.get("MaxInstanceLifetime") or DAY_SECONDS
    refuse_unless(
        DAY_SECONDS <= lifetime <= 365 * DAY_SECONDS,
        _CODE,
        f"MaxInstanceLifetime {lifetime} must be 0 or between 86400 and 31536000 seconds",
    )
    mixed = request.get("MixedInstancesPolicy", {}).get("InstancesDistribution", {})
    share = mixed.get("OnDemandPercentageAboveBaseCapacity", 0)
    refuse_unless(0 <= share <= 100, _CODE, f"On-Demand percentage {share} is not in 0–100")


@rule("autoscaling", "create_auto_scaling_group", live=True)
def group_is_complete(cloud: Cloud, request: Request) -> None:
    name = request["AutoScalingGroupName"]
    refuse_unless(
        _group(cloud, name) is None,
        "AlreadyExists",
        f"AutoScalingGroup by this name already exists - A group with the name {name} "
        "already exists",
    )
    sources = ("LaunchTemplate", "MixedInstancesPolicy", "LaunchConfigurationName", "InstanceId")
    refuse_unless(
        sum(source in request for source in sources) == 1,
        _CODE,
        "Valid requests must contain either LaunchTemplate, LaunchConfigurationName, InstanceId "
        "or MixedInstancesPolicy parameter.",
    )
    refuse_unless(
        bool(request.get("VPCZoneIdentifier") or request.get("AvailabilityZones")),
        _CODE,
        "At least one Availability Zone or VPC Subnet is required.",
    )


@rule("autoscaling", "update_auto_scaling_group", live=True)
def sizes_fit_what_stays(cloud: Cloud, request: Request) -> None:
    """Only min and max bind: a desired capacity outside of them is moved by AWS itself."""
    group = _group(cloud, request["AutoScalingGroupName"])
    if group is not None and "DesiredCapacity" not in request:
        bounds = {k: request.get(k, group[k]) for k in ("MinSize", "MaxSize")}
        _check_sizes(bounds)
    elif group is not None:
        _check_sizes({k: request.get(k, group[k]) for k in _sizes(request)})


@rule("autoscaling", "enable_metrics_collection")
def metrics_are_known(_: Cloud, request: Request) -> None:
    for metric in request.get("Metrics", []):
        refuse_unless(metric in _METRICS, _CODE, f"Unsupported metric: {metric}")


@rule("autoscaling", "suspend_processes")
def processes_are_known(_: Cloud, request: Request) -> None:
    for process in request.get("ScalingProcesses", []):
        refuse_unless(process in _PROCESSES, _CODE, f"{process} is not a valid scaling process")


@rule("autoscaling", "put_warm_pool", live=True)
def warm_pool_fits(cloud: Cloud, request: Request) -> None:
    group = _group(cloud, request["AutoScalingGroupName"])
    prepared = request.get("MaxGroupPreparedCapacity")
    if group is not None and prepared not in (None, -1):
        refuse_unless(
            request.get("MinSize", 0) <= prepared,
            _CODE,
            f"The warm pool's MinSize is above MaxGroupPreparedCapacity {prepared}",
        )


@rule("autoscaling", "put_warm_pool", live=True)
def warm_pool_goes_with_its_group(cloud: Cloud, request: Request) -> None:
    """Mixed instances are fine since November 2025 (AWS "What's New", 2025-11, "EC2 Auto Scaling
    warm pool mixed instances policies"); Spot Instances are not.
    """
    group = _group(cloud, request["AutoScalingGroupName"]) or {}
    mixed = group.get("MixedInstancesPolicy", {})
    distribution = mixed.get("InstancesDistribution", {})
    refuse_unless(
        not mixed or distribution.get("OnDemandPercentageAboveBaseCapacity", 100) == 100,
        _CODE,
        "You can't add a warm pool to an Auto Scaling group that requests Spot Instances",
    )


# ---- Lifecycle hooks -------------------------------------------------------------------------

# EC2 Auto Scaling API reference, PutLifecycleHook.
_TRANSITIONS: Final = frozenset(
    {"autoscaling:EC2_INSTANCE_LAUNCHING", "autoscaling:EC2_INSTANCE_TERMINATING"}
)
_RESULTS: Final = frozenset({"CONTINUE", "ABANDON"})
_HEARTBEAT_SECONDS: Final = range(30, 7201)
# EC2 Auto Scaling user guide, "Quotas": lifecycle hooks per group, not adjustable.
MAX_HOOKS_PER_GROUP: Final = 50


def _check_hook(hook: Request) -> None:
    transition, result = hook.get("LifecycleTransition"), hook.get("DefaultResult")
    refuse_unless(
        transition is None or transition in _TRANSITIONS,
        _CODE,
        f"Invalid lifecycle transition {transition!r}",
    )
    refuse_unless(
        result is None or result in _RESULTS,
        _CODE,
        f"Invalid default result {result!r}: CONTINUE or ABANDON",
    )
    seconds = hook.get("HeartbeatTimeout", _HEARTBEAT_SECONDS.start)
    refuse_unless(
        seconds in _HEARTBEAT_SECONDS,
        _CODE,
        f"Heartbeat timeout {seconds} must be between 30 and 7200 seconds",
    )
    refuse_unless(
        bool(hook.get("NotificationTargetARN")) == bool(hook.get("RoleARN")),
        _CODE,
        "A notification target and the role that may notify it go together",
    )


@rule("autoscaling", "put_lifecycle_hook")
def hook_is_sound(_: Cloud, request: Request) -> None:
    _check_hook(request)


@rule("autoscaling", "create_auto_scaling_group")
def first_hooks_are_sound(_: Cloud, request: Request) -> None:
    for hook in request.get("LifecycleHookSpecificationList", []):
        _check_hook(hook)


@rule("autoscaling", "put_lifecycle_hook", live=True)
def hook_fits_its_group(cloud: Cloud, request: Request) -> None:
    name = request["AutoScalingGroupName"]
    refuse_unless(_group(cloud, name) is not None, _CODE, "AutoScalingGroup name not found - null")
    hooks = cloud.call("autoscaling", "describe_lifecycle_hooks", AutoScalingGroupName=name)
    others = [
        hook["LifecycleHookName"]
        for hook in hooks["LifecycleHooks"]
        if hook["LifecycleHookName"] != request["LifecycleHookName"]
    ]
    refuse_unless(
        "LifecycleTransition" in request or len(others) < len(hooks["LifecycleHooks"]),
        _CODE,
        "A new lifecycle hook needs a LifecycleTransition",
    )
    refuse_unless(
        len(others) < MAX_HOOKS_PER_GROUP,
        "LimitExceeded",
        f"{MAX_HOOKS_PER_GROUP} lifecycle hooks per group exceeded",
    )


# ---- Policies --------------------------------------------------------------------------------

# app/NAME/ID/targetgroup/NAME/ID; API reference, PredefinedMetricSpecification.
_LABEL: Final = re.compile(r"(app/[^/]+/[^/]+)/(targetgroup/[^/]+/[^/]+)")


@rule("autoscaling", "put_scaling_policy")
def policy_is_complete(_: Cloud, request: Request) -> None:
    kind = request.get("PolicyType", "SimpleScaling")
    refuse_unless(kind in _POLICY_TYPES, _CODE, f"Unknown policy type {kind!r}")
    tracking = request.get("TargetTrackingConfiguration")
    if kind == "TargetTrackingScaling":
        _check_tracking(tracking)
    else:
        refuse_unless(not tracking, _CODE, f"TargetTrackingConfiguration does not go with {kind}")
    if kind == "SimpleScaling":
        complete = "AdjustmentType" in request and "ScalingAdjustment" in request
        refuse_unless(complete, _CODE, "You must specify AdjustmentType and ScalingAdjustment")
    if kind == "StepScaling":
        complete = "AdjustmentType" in request and bool(request.get("StepAdjustments"))
        refuse_unless(complete, _CODE, "You must specify AdjustmentType and StepAdjustments")


def _check_tracking(tracking: Request | None) -> None:
    refuse_unless(
        bool(tracking), _CODE, "TargetTrackingConfiguration is required for TargetTrackingScaling"
    )
    tracking = tracking or {}
    kinds = ("PredefinedMetricSpecification", "CustomizedMetricSpecification")
    refuse_unless(
        sum(kind in tracking for kind in kinds) == 1,
        _CODE,
        "Exactly one of PredefinedMetricSpecification and CustomizedMetricSpecification is needed",
    )
    metrics = tracking.get("CustomizedMetricSpecification", {}).get("Metrics", [])
    if metrics:
        _check_math(metrics)
    target = tracking.get("TargetValue", 1)
    refuse_unless(target > 0, _CODE, f"TargetValue {target} must be above 0")


def _check_math(metrics: list[Request]) -> None:
    """API reference, TargetTrackingMetricDataQuery: names in lower case, one result."""
    ids = [metric.get("Id", "") for metric in metrics]
    for id in ids:
        refuse_unless(
            re.fullmatch(r"[a-z][a-zA-Z0-9_]*", id) is not None and ids.count(id) == 1,
            _CODE,
            f"Metric id {id!r} must be unique and begin with a lower-case letter",
        )
    returned = [metric for metric in metrics if metric.get("ReturnData", True)]
    refuse_unless(
        len(returned) == 1, _CODE, f"Exactly one metric may return data, not {len(returned)}"
    )
    for metric in metrics:
        refuse_unless(
            ("Expression" in metric) != ("MetricStat" in metric),
            _CODE,
            "Either Expression or MetricStat must be specified for each metric",
        )
        words = re.findall(r"\b[a-z][a-zA-Z0-9_]*\b", metric.get("Expression", ""))
        for word in words:
            refuse_unless(word in ids, _CODE, f"The expression names no metric {word!r}")


@rule("autoscaling", "put_scaling_policy", live=True)
def policy_fits_its_group(cloud: Cloud, request: Request) -> None:
    name = request["AutoScalingGroupName"]
    group = _group(cloud, name)
    refuse_unless(group is not None, _CODE, "Group not found - AutoScalingGroup name not found")
    policies = cloud.call("autoscaling", "describe_policies", AutoScalingGroupName=name)
    others = [p for p in policies["ScalingPolicies"] if p["PolicyName"] != request["PolicyName"]]
    refuse_unless(
        len(others) < MAX_SCALING_POLICIES_PER_GROUP,
        "LimitExceeded",
        f"{MAX_SCALING_POLICIES_PER_GROUP} scaling policies per group exceeded",
    )
    metric = request.get("TargetTrackingConfiguration", {}).get("PredefinedMetricSpecification", {})
    if metric.get("PredefinedMetricType") == "ALBRequestCountPerTarget":
        match = _LABEL.fullmatch(metric.get("ResourceLabel", ""))
        refuse_unless(
            match is not None,
            _CODE,
            "Resource label should be specified for predefined metric type "
            "ALBRequestCountPerTarget, as app/NAME/ID/targetgroup/NAME/ID",
        )
        attached = [arn.rpartition(":")[2] for arn in (group or {}).get("TargetGroupARNs", [])]
        refuse_unless(
            match is not None and match.group(2) in attached,
            _CODE,
            "The target group of the resource label is not attached to the Auto Scaling group",
        )
        balancers = [
            arn.partition(":loadbalancer/")[2]
            for target_group in cloud.call("elbv2", "describe_target_groups")["TargetGroups"]
            if match is not None and target_group["TargetGroupArn"].endswith(match.group(2))
            for arn in target_group["LoadBalancerArns"]
        ]
        refuse_unless(
            match is not None and match.group(1) in balancers,
            _CODE,
            "The load balancer does not route traffic to the target group",
        )


# ---- Scheduled actions -----------------------------------------------------------------------


@rule("autoscaling", "put_scheduled_update_group_action")
def action_is_sound(_: Cloud, request: Request) -> None:
    given = {k: v for k, v in _sizes(request).items() if v is not None}
    refuse_unless(
        bool(given),
        _CODE,
        "At least one of MinSize, MaxSize and DesiredCapacity must be specified",
    )
    _check_sizes(_sizes(request))
    zone(request.get("TimeZone"), _CODE)
    check_window(request, clock.now("local"), _CODE)


@rule("autoscaling", "put_scheduled_update_group_action", live=True)
def action_has_a_time(_: Cloud, request: Request) -> None:
    """Not in previews: there the time may be unknown yet."""
    refuse_unless(
        "Recurrence" in request or "StartTime" in request,
        _CODE,
        "Either StartTime or Recurrence must be specified",
    )


@rule("autoscaling", "put_scheduled_update_group_action")
def recurrence_is_valid(_: Cloud, request: Request) -> None:
    if "Recurrence" in request:
        cron(request["Recurrence"], clock.now("local"), _CODE)


def _next_fire(action: Request, now: datetime) -> datetime | None:
    """When an action fires first: at its StartTime, else at its next occurrence."""
    start = moment(action.get("StartTime"))
    if start is not None and (start > now or not action.get("Recurrence")):
        return start
    if not action.get("Recurrence"):
        return None
    local = now.astimezone(zone(action.get("TimeZone"), _CODE))
    occurrences: CronSim = cron(action["Recurrence"], local, _CODE)
    return next(occurrences).astimezone(UTC)


def _actions(cloud: Cloud, **request: Any) -> list[dict[str, Any]]:
    actions: list[dict[str, Any]] = []
    while True:
        answer = cloud.call("autoscaling", "describe_scheduled_actions", **request)
        actions += answer["ScheduledUpdateGroupActions"]
        if not answer.get("NextToken"):
            return actions
        request["NextToken"] = answer["NextToken"]


@dataclass
class _Known:
    """The Region's actions: name -> (group, when it fires next). Read once, then kept up to date.

    A plan has over a hundred actions a group: describing them all before each put took longer than
    everything else together.
    """

    actions: dict[str, tuple[str, datetime | None]]
    groups: set[str]
    lock: threading.Lock


def _known(cloud: Cloud) -> _Known:
    def load() -> _Known:
        now = clock.now("local")
        return _Known(
            {
                action["ScheduledActionName"]: (
                    action["AutoScalingGroupName"],
                    _next_fire(action, now),
                )
                for action in _actions(cloud)
            },
            set(),
            threading.Lock(),
        )

    return cloud.remember("scheduled actions", load)


@rule("autoscaling", "put_scheduled_update_group_action", live=True)
def action_fits_its_group(cloud: Cloud, request: Request) -> None:
    group, name = request["AutoScalingGroupName"], request["ScheduledActionName"]
    fires, known = _next_fire(request, clock.now("local")), _known(cloud)
    with known.lock:
        if group not in known.groups:
            exists = _group(cloud, group) is not None
            refuse_unless(exists, _CODE, "AutoScalingGroup name not found - null")
            known.groups.add(group)
        holder = known.actions.get(name, (group, None))[0]
        # moto keeps actions by name alone: this one would silently replace the other group's.
        refuse_unless(
            holder == group,
            "LocalCloudLimitation",
            f"the local cloud holds one scheduled action of a name, and {name!r} is one of group "
            f"{holder} (AWS keeps them apart): begin names with the stack's and the group's",
        )
        others = {
            other: at for other, (of, at) in known.actions.items() if of == group and other != name
        }
        refuse_unless(
            len(others) < MAX_SCHEDULED_ACTIONS_PER_GROUP,
            "LimitExceeded",
            f"{MAX_SCHEDULED_ACTIONS_PER_GROUP} scheduled actions per group exceeded",
        )
        for other, at in others.items():
            refuse_unless(
                fires is None or at != fires,
                "AlreadyExists",
                f"Scheduled action with this scheduled start time already exists: {other} at {at}",
            )
        known.actions[name] = (group, fires)


@rule("autoscaling", "delete_scheduled_action", live=True)
def action_is_forgotten(cloud: Cloud, request: Request) -> None:
    known = _known(cloud)
    with known.lock:
        known.actions.pop(request["ScheduledActionName"], None)


@rule("autoscaling", "delete_auto_scaling_group", live=True)
def group_is_forgotten(cloud: Cloud, request: Request) -> None:
    """A group takes its actions with it."""
    group, known = request["AutoScalingGroupName"], _known(cloud)
    with known.lock:
        known.groups.discard(group)
        of_group = [name for name, (of, _) in known.actions.items() if of == group]
        for name in of_group:
            del known.actions[name]
