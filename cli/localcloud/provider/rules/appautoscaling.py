"""Application Auto Scaling: targets, policies and scheduled actions of replicas."""

from __future__ import annotations

import re
from datetime import datetime
from typing import TYPE_CHECKING, Any, Final

from cronsim import CronSim, CronSimError

from cli.localcloud.provider.rules.base import (
    RefusedError,
    Request,
    check_window,
    refuse_unless,
    rule,
    zone,
)
from infra import clock
from infra.season.limits import (
    MAX_AURORA_REPLICAS,
    MAX_ELASTICACHE_REPLICAS,
    MAX_SCHEDULED_ACTIONS_PER_SCALABLE_TARGET,
)
from infra.season.scalable import SCALABLE
from infra.settings.cache import SCALABLE_FAMILIES, SCALABLE_SIZES

if TYPE_CHECKING:
    from cli.localcloud.provider.aws import Cloud

_CODE: Final = "ValidationException"
_SERVICE: Final = "application-autoscaling"
_DIMENSION: Final = SCALABLE["aurora-replicas"].dimension
_CACHE_DIMENSION: Final = SCALABLE["elasticache-replicas"].dimension
# Application Auto Scaling user guide, "Quotas": scaling policies per target.
MAX_POLICIES_PER_TARGET: Final = 50
_RATE: Final = re.compile(r"rate\((\d+) (minute|minutes|hour|hours|day|days)\)")
_AT: Final = re.compile(r"at\((\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2})\)")
_CRON: Final = re.compile(r"cron\((.*)\)")


def check_schedule(expression: str) -> None:
    """Refuse what is neither `at(yyyy-mm-ddThh:mm:ss)`, `rate(...)` nor a six-field `cron(...)`."""
    if match := _RATE.fullmatch(expression):
        number, unit = int(match.group(1)), match.group(2)
        fits = number > 0 and unit.endswith("s") == (number > 1)
        refuse_unless(fits, _CODE, f"{expression}: one minute, several minutes")
    elif match := _AT.fullmatch(expression):
        try:
            datetime.fromisoformat(match.group(1))
        except ValueError as error:
            raise RefusedError(_CODE, f"{expression}: {error}") from error
    elif match := _CRON.fullmatch(expression):
        _check_cron(expression, match.group(1).split())
    else:
        raise RefusedError(_CODE, f"{expression!r} is no at(), rate() or cron() expression")


def _check_cron(expression: str, fields: list[str]) -> None:
    refuse_unless(
        len(fields) == 6,
        _CODE,
        f"{expression} must have 6 fields: minutes hours day-of-month month day-of-week year",
    )
    minute, hour, day, month, weekday, year = fields
    refuse_unless(
        (day == "?") != (weekday == "?"),
        _CODE,
        f"{expression}: one of day-of-month and day-of-week must be ?, the other not",
    )
    refuse_unless(
        re.fullmatch(r"(\*|\d{4}([-,/]\d{1,4})*)", year) is not None,
        _CODE,
        f"{expression}: {year!r} is no year",
    )
    # Days of the week count from 1 (Sunday) here and from 0 in the cron that the library knows.
    days = re.sub(r"(?<![#\d])[1-7](?![\d])", lambda m: str(int(m.group()) - 1), weekday)
    five = " ".join([minute, hour, day.replace("?", "*"), month, days.replace("?", "*")])
    try:
        CronSim(five, clock.now("local"))
    except CronSimError as error:
        raise RefusedError(_CODE, f"{expression}: {error}") from error


def _check_capacities(request: Request, dimension: str | None) -> None:
    low, high = request.get("MinCapacity"), request.get("MaxCapacity")
    refuse_unless(
        low is None or high is None or low <= high,
        _CODE,
        f"Maximum capacity {high} cannot be less than minimum capacity {low}",
    )
    for capacity in (low, high):
        refuse_unless(capacity is None or capacity >= 0, _CODE, f"capacity {capacity} is negative")
        refuse_unless(
            dimension != _DIMENSION or capacity is None or capacity <= MAX_AURORA_REPLICAS,
            _CODE,
            f"capacity {capacity}: an Aurora cluster has 0 to {MAX_AURORA_REPLICAS} replicas",
        )
        refuse_unless(
            dimension != _CACHE_DIMENSION
            or capacity is None
            or 1 <= capacity <= MAX_ELASTICACHE_REPLICAS,
            _CODE,
            f"capacity {capacity}: a shard has 1 to {MAX_ELASTICACHE_REPLICAS} replicas",
        )


@rule(_SERVICE, "register_scalable_target")
def target_is_sound(_: Cloud, request: Request) -> None:
    dimension = request.get("ScalableDimension")
    _check_capacities(request, dimension)
    resource = request.get("ResourceId")
    refuse_unless(
        dimension != _DIMENSION or resource is None or resource.startswith("cluster:"),
        _CODE,
        f"Unsupported resource {resource!r}: an Aurora cluster is cluster:NAME",
    )
    refuse_unless(
        dimension != _CACHE_DIMENSION
        or resource is None
        or resource.startswith("replication-group/"),
        _CODE,
        f"Unsupported resource {resource!r}: a replication group is replication-group/NAME",
    )


@rule(_SERVICE, "register_scalable_target", live=True)
def cache_can_scale(cloud: Cloud, request: Request) -> None:
    """ElastiCache user guide, "Auto Scaling Valkey and Redis OSS clusters", prerequisites."""
    if request["ScalableDimension"] != _CACHE_DIMENSION:
        return
    name = request["ResourceId"].partition("/")[2]
    groups = cloud.call("elasticache", "describe_replication_groups")["ReplicationGroups"]
    found = [group for group in groups if group["ReplicationGroupId"] == name]
    refuse_unless(bool(found), _CODE, f"Replication group doesn't exist: {name}")
    refuse_unless(
        found[0]["ClusterEnabled"],
        _CODE,
        f"Replication group {name} has cluster mode disabled: its replicas cannot be scaled",
    )
    kind = found[0]["CacheNodeType"]
    _, family, size = kind.split(".")
    refuse_unless(
        family in SCALABLE_FAMILIES and size in SCALABLE_SIZES,
        _CODE,
        f"{kind} cannot be scaled: sizes {', '.join(SCALABLE_SIZES)} of "
        f"{', '.join(SCALABLE_FAMILIES)}",
    )


@rule(_SERVICE, "register_scalable_target", live=True)
def cluster_has_a_writer(cloud: Cloud, request: Request) -> None:
    if request["ScalableDimension"] != _DIMENSION:
        return
    name = request["ResourceId"].partition(":")[2]
    clusters = cloud.call("rds", "describe_db_clusters")["DBClusters"]
    found = [cluster for cluster in clusters if cluster["DBClusterIdentifier"] == name]
    refuse_unless(bool(found), _CODE, f"DB cluster doesn't exist: {name}")
    # Aurora user guide, "Amazon Aurora Auto Scaling", "Before you begin".
    refuse_unless(
        any(member["IsClusterWriter"] for member in found[0]["DBClusterMembers"]),
        _CODE,
        f"DB cluster {name} has no writer yet, and a replica would become it",
    )
    created = _targets(cloud, request)
    refuse_unless(
        bool(created) or {"MinCapacity", "MaxCapacity"} <= request.keys(),
        _CODE,
        "MinCapacity and MaxCapacity are required for a new scalable target",
    )


def _targets(cloud: Cloud, request: Request) -> list[dict[str, Any]]:
    answer = cloud.call(
        _SERVICE,
        "describe_scalable_targets",
        ServiceNamespace=request["ServiceNamespace"],
        ResourceIds=[request["ResourceId"]],
        ScalableDimension=request["ScalableDimension"],
    )
    return answer["ScalableTargets"]


@rule(_SERVICE, "put_scaling_policy", "put_scheduled_action", live=True)
def target_is_registered(cloud: Cloud, request: Request) -> None:
    refuse_unless(
        bool(_targets(cloud, request)),
        "ObjectNotFoundException",
        f"No scalable target registered for service namespace: {request['ServiceNamespace']}, "
        f"resource ID: {request['ResourceId']}, scalable dimension: "
        f"{request['ScalableDimension']}",
    )


@rule(_SERVICE, "put_scaling_policy")
def policy_is_sound(_: Cloud, request: Request) -> None:
    tracking = request.get("TargetTrackingScalingPolicyConfiguration")
    if request.get("PolicyType") == "TargetTrackingScaling":
        refuse_unless(bool(tracking), _CODE, "TargetTrackingScaling needs its configuration")
    if not tracking:
        return
    kinds = ("PredefinedMetricSpecification", "CustomizedMetricSpecification")
    refuse_unless(
        sum(kind in tracking for kind in kinds) == 1,
        _CODE,
        "Exactly one of PredefinedMetricSpecification and CustomizedMetricSpecification is needed",
    )
    metric = tracking.get("PredefinedMetricSpecification", {}).get("PredefinedMetricType", "")
    if request.get("ServiceNamespace") == "rds" and metric:
        refuse_unless(
            metric.startswith("RDSReaderAverage"),
            _CODE,
            f"{metric} does not go with service namespace rds",
        )
    if request.get("ScalableDimension") == _CACHE_DIMENSION and metric:
        refuse_unless(
            metric == "ElastiCacheReplicaEngineCPUUtilization",
            _CODE,
            f"{metric} does not go with {_CACHE_DIMENSION}",
        )
        target = tracking.get("TargetValue", 50)
        refuse_unless(
            35 <= target <= 70, _CODE, f"TargetValue {target} of {metric} is not in 35–70"
        )


@rule(_SERVICE, "put_scaling_policy", live=True)
def policies_are_not_too_many(cloud: Cloud, request: Request) -> None:
    answer = cloud.call(
        _SERVICE,
        "describe_scaling_policies",
        ServiceNamespace=request["ServiceNamespace"],
        ResourceId=request["ResourceId"],
        ScalableDimension=request["ScalableDimension"],
    )
    others = [p for p in answer["ScalingPolicies"] if p["PolicyName"] != request["PolicyName"]]
    refuse_unless(
        len(others) < MAX_POLICIES_PER_TARGET,
        "LimitExceededException",
        f"{MAX_POLICIES_PER_TARGET} scaling policies per scalable target exceeded",
    )


@rule(_SERVICE, "put_scheduled_action")
def action_is_sound(_: Cloud, request: Request) -> None:
    if "Schedule" in request:
        check_schedule(request["Schedule"])
    zone(request.get("Timezone"), _CODE)
    check_window(request, clock.now("local"), _CODE)
    sizes = request.get("ScalableTargetAction")
    refuse_unless(
        sizes is None or bool(sizes), _CODE, "ScalableTargetAction needs a capacity at least"
    )
    _check_capacities(sizes or {}, request.get("ScalableDimension"))


@rule(_SERVICE, "put_scheduled_action", live=True)
def actions_are_not_too_many(cloud: Cloud, request: Request) -> None:
    answer = cloud.call(
        _SERVICE,
        "describe_scheduled_actions",
        ServiceNamespace=request["ServiceNamespace"],
        ResourceId=request["ResourceId"],
        ScalableDimension=request["ScalableDimension"],
    )
    name = request["ScheduledActionName"]
    others = [a for a in answer["ScheduledActions"] if a["ScheduledActionName"] != name]
    known = len(others) < len(answer["ScheduledActions"])
    refuse_unless(
        known or {"Schedule", "ScalableTargetAction"} <= request.keys(),
        _CODE,
        "A new scheduled action needs Schedule and ScalableTargetAction",
    )
    refuse_unless(
        len(others) < MAX_SCHEDULED_ACTIONS_PER_SCALABLE_TARGET,
        "LimitExceededException",
        f"{MAX_SCHEDULED_ACTIONS_PER_SCALABLE_TARGET} scheduled actions per scalable target "
        "exceeded",
    )
