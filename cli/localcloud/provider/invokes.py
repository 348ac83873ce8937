"""The functions (`getX`) of pulumi-aws that the program, and what runs it, calls."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from cli.localcloud.provider.aws import Cloud
from cli.localcloud.provider.values import Properties


def _availability_zones(cloud: Cloud, given: Properties) -> dict[str, Any]:
    filters = [{"Name": f["name"], "Values": f["values"]} for f in given.get("filters", [])]
    if state := given.get("state"):
        filters.append({"Name": "state", "Values": [state]})
    answer = cloud.call("ec2", "describe_availability_zones", Filters=filters)
    zones = sorted(answer["AvailabilityZones"], key=lambda zone: zone["ZoneName"])
    without = set(given.get("excludeNames", []))
    zones = [zone for zone in zones if zone["ZoneName"] not in without]
    return given | {
        "id": cloud.region,
        "names": [zone["ZoneName"] for zone in zones],
        "zoneIds": [zone["ZoneId"] for zone in zones],
        "groupNames": sorted({zone.get("GroupName", cloud.region) for zone in zones}),
        "region": cloud.region,
    }


def _caller_identity(cloud: Cloud, given: Properties) -> dict[str, Any]:
    answer = cloud.call("sts", "get_caller_identity")
    return given | {
        "id": answer["Account"],
        "accountId": answer["Account"],
        "arn": answer["Arn"],
        "userId": answer["UserId"],
    }


def _region(cloud: Cloud, given: Properties) -> dict[str, Any]:
    return given | {
        "id": cloud.region,
        "name": cloud.region,
        "region": cloud.region,
        "description": cloud.region,
        "endpoint": f"ec2.{cloud.region}.amazonaws.com",
    }


def _random_password(cloud: Cloud, given: Properties) -> dict[str, Any]:
    answer = cloud.call(
        "secretsmanager",
        "get_random_password",
        PasswordLength=int(given.get("passwordLength", 32)),
        ExcludePunctuation=bool(given.get("excludePunctuation", False)),
    )
    return given | {
        "id": cloud.region,
        "randomPassword": answer["RandomPassword"],
        "region": cloud.region,
    }


def _managed_prefix_list(cloud: Cloud, given: Properties) -> dict[str, Any]:
    named = [{"Name": "prefix-list-name", "Values": [given["name"]]}]
    answer = cloud.call("ec2", "describe_managed_prefix_lists", Filters=named)
    (found,) = answer["PrefixLists"]
    return given | {
        "id": found["PrefixListId"],
        "arn": found["PrefixListArn"],
        "addressFamily": found.get("AddressFamily", ""),
        "entries": [],
        "maxEntries": found.get("MaxEntries", 0),
        "ownerId": found["OwnerId"],
        "region": cloud.region,
        "tags": {},
        "version": found.get("Version", 0),
    }


FUNCTIONS: Final[dict[str, Callable[[Cloud, Properties], dict[str, Any]]]] = {
    "aws:ec2/getManagedPrefixList:getManagedPrefixList": _managed_prefix_list,
    "aws:index/getAvailabilityZones:getAvailabilityZones": _availability_zones,
    "aws:index/getCallerIdentity:getCallerIdentity": _caller_identity,
    "aws:index/getRegion:getRegion": _region,
    "aws:secretsmanager/getRandomPassword:getRandomPassword": _random_password,
}
