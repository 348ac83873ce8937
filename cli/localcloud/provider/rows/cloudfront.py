"""CloudFront: distributions, cache policies and origin access controls."""

from __future__ import annotations

import uuid
from typing import Any, Final

from cli.localcloud.provider.aws import Cloud
from cli.localcloud.provider.machine import Live, Read, Row, Step, Tagging
from cli.localcloud.provider.mapping import to_api
from cli.localcloud.provider.values import Properties

# The hosted zone of every distribution. Route 53 API reference, AliasTarget.
HOSTED_ZONE: Final = "Z2FDTNDATAQYW2"
_SAME: Final = (
    "aliases comment customErrorResponses defaultRootObject enabled httpVersion isIpv6Enabled "
    "originGroups origins priceClass viewerCertificate webAclId"
)
_NAMES: Final = {
    "origins.originId": "Id",
    "origins.customHeaders.name": "HeaderName",
    "origins.customHeaders.value": "HeaderValue",
    "originGroups.originId": "Id",
    "arn": "ARN",
}


def _behaviour(cloud: Cloud, block: Properties, shape: Any) -> dict[str, Any]:
    """The methods that are cached stand inside those that are allowed."""
    mapped = to_api({k: v for k, v in block.items() if k != "cachedMethods"}, shape, _NAMES)
    cached = shape.members["AllowedMethods"].members["CachedMethods"]
    mapped["AllowedMethods"]["CachedMethods"] = to_api(block["cachedMethods"], cached, {})
    return mapped


def _config(cloud: Cloud, state: Properties, reference: str) -> dict[str, Any]:
    shape = cloud.input_shape("cloudfront", "create_distribution").members["DistributionConfig"]
    given = {prop: state[prop] for prop in _SAME.split() if state.get(prop) is not None}
    config: dict[str, Any] = to_api(given, shape, _NAMES)
    config["CallerReference"] = reference
    config.setdefault("Comment", "")
    default = shape.members["DefaultCacheBehavior"]
    config["DefaultCacheBehavior"] = _behaviour(cloud, state["defaultCacheBehavior"], default)
    ordered = state.get("orderedCacheBehaviors") or []
    each = shape.members["CacheBehaviors"].members["Items"].member
    config["CacheBehaviors"] = {
        "Quantity": len(ordered),
        "Items": [_behaviour(cloud, block, each) for block in ordered],
    }
    where = state["restrictions"]["geoRestriction"]
    locations = where.get("locations", [])
    config["Restrictions"] = {
        "GeoRestriction": {
            "RestrictionType": where["restrictionType"],
            "Quantity": len(locations),
            "Items": locations,
        }
    }
    logging = state.get("loggingConfig")
    config["Logging"] = {
        "Enabled": bool(logging),
        "IncludeCookies": bool((logging or {}).get("includeCookies", False)),
        "Bucket": (logging or {}).get("bucket", ""),
        "Prefix": (logging or {}).get("prefix", ""),
    }
    return config


def _shown_behaviour(block: Live) -> Live:
    cached = block.get("AllowedMethods", {}).get("CachedMethods")
    return block | ({"CachedMethods": cached} if cached else {})


def _read_distribution(cloud: Cloud, state: Properties) -> Live | None:
    found = cloud.call("cloudfront", "get_distribution", Id=state["id"])
    thing, config = found["Distribution"], found["Distribution"]["DistributionConfig"]
    where, logging = config["Restrictions"]["GeoRestriction"], config["Logging"]
    ordered = (config.get("CacheBehaviors") or {}).get("Items") or []
    return config | {
        "ARN": thing["ARN"],
        "DomainName": thing["DomainName"],
        "Status": thing["Status"],
        "ETag": found["ETag"],
        "HostedZoneId": HOSTED_ZONE,
        "DefaultCacheBehavior": _shown_behaviour(config["DefaultCacheBehavior"]),
        "OrderedCacheBehaviors": [_shown_behaviour(block) for block in ordered],
        "Restrictions": {
            "GeoRestriction": {
                "RestrictionType": where["RestrictionType"],
                "Locations": where.get("Items") or [],
            }
        },
        "LoggingConfig": logging if logging.get("Enabled") else None,
    }


def _update(cloud: Cloud, state: Properties, _: frozenset[str]) -> None:
    live = cloud.call("cloudfront", "get_distribution_config", Id=state["id"])
    reference = live["DistributionConfig"]["CallerReference"]
    cloud.call(
        "cloudfront",
        "update_distribution",
        Id=state["id"],
        IfMatch=live["ETag"],
        DistributionConfig=_config(cloud, state, reference),
    )


def _delete(cloud: Cloud, state: Properties, _: frozenset[str]) -> None:
    """AWS deletes only what is disabled."""
    live = cloud.call("cloudfront", "get_distribution_config", Id=state["id"])
    tag = live["ETag"]
    if live["DistributionConfig"]["Enabled"]:
        tag = cloud.call(
            "cloudfront",
            "update_distribution",
            Id=state["id"],
            IfMatch=tag,
            DistributionConfig=live["DistributionConfig"] | {"Enabled": False},
        )["ETag"]
    cloud.call("cloudfront", "delete_distribution", Id=state["id"], IfMatch=tag)


_OWN: Final = f"{_SAME} defaultCacheBehavior loggingConfig orderedCacheBehaviors restrictions"

DISTRIBUTION: Final = Row(
    type="aws:cloudfront/distribution:Distribution",
    service="cloudfront",
    create=Step(
        "create_distribution",
        _OWN,
        build=lambda cloud, state, _: [
            {"DistributionConfig": _config(cloud, state, str(uuid.uuid4()))}
        ],
    ),
    id="Distribution.Id",
    read=_read_distribution,
    key={"Id": "id"},
    update=(Step(props=_OWN, run=_update),),
    delete=Step(run=_delete),
    names=_NAMES,
    defaults={
        "httpVersion": "http2",
        "priceClass": "PriceClass_All",
        "retainOnDelete": False,
        "waitForDeployment": True,
    },
    ignored="retainOnDelete waitForDeployment",
    ordered="orderedCacheBehaviors members",
    computed="comment",
    volatile="etag",
    tags=Tagging(
        "tag_resource",
        "untag_resource",
        key="Resource",
        create="",
        read=Read("list_tags_for_resource", "Tags.Items", {"Resource": "arn"}),
    ),
)


def _control(_: Cloud, state: Properties, __: frozenset[str]) -> list[dict[str, Any]]:
    return [
        {
            "OriginAccessControlConfig": {
                "Name": state["name"],
                "Description": state.get("description", ""),
                "SigningProtocol": state["signingProtocol"],
                "SigningBehavior": state["signingBehavior"],
                "OriginAccessControlOriginType": state["originAccessControlOriginType"],
            }
        }
    ]


def _read_control(cloud: Cloud, state: Properties) -> Live | None:
    found = cloud.call("cloudfront", "get_origin_access_control", Id=state["id"])
    return found["OriginAccessControl"]["OriginAccessControlConfig"] | {"ETag": found["ETag"]}


_CONTROL: Final = "name description signingProtocol signingBehavior originAccessControlOriginType"
ORIGIN_ACCESS_CONTROL: Final = Row(
    type="aws:cloudfront/originAccessControl:OriginAccessControl",
    service="cloudfront",
    create=Step("create_origin_access_control", _CONTROL, build=_control),
    id="OriginAccessControl.Id",
    read=_read_control,
    key={"Id": "id", "IfMatch": "etag"},
    update=(Step("update_origin_access_control", _CONTROL, build=_control),),
    delete="delete_origin_access_control",
    replace="name",
    defaults={"description": "Managed by Pulumi"},
    volatile="etag",
)

_KEY: Final = "parametersInCacheKeyAndForwardedToOrigin"
_POLICY: Final = f"name comment defaultTtl maxTtl minTtl {_KEY}"
# Blocks of the cache's key and the list that stands in each, which CloudFront counts.
_LISTS: Final = {
    "headersConfig": "headers",
    "cookiesConfig": "cookies",
    "queryStringsConfig": "queryStrings",
}


def _cache_policy(cloud: Cloud, state: Properties, _: frozenset[str]) -> list[dict[str, Any]]:
    shape = cloud.input_shape("cloudfront", "create_cache_policy").members["CachePolicyConfig"]
    given = {prop: state[prop] for prop in _POLICY.split() if state.get(prop) is not None}
    given[_KEY] = {
        prop: value | {_LISTS[prop]: value[_LISTS[prop]]["items"]}
        if _LISTS.get(prop) in (value if isinstance(value, dict) else ())
        else value
        for prop, value in given[_KEY].items()
    }
    return [{"CachePolicyConfig": to_api(given, shape, {})}]


def _read_cache_policy(cloud: Cloud, state: Properties) -> Live | None:
    found = cloud.call("cloudfront", "get_cache_policy", Id=state["id"])
    return found["CachePolicy"]["CachePolicyConfig"] | {"ETag": found["ETag"]}


CACHE_POLICY: Final = Row(
    type="aws:cloudfront/cachePolicy:CachePolicy",
    service="cloudfront",
    create=Step("create_cache_policy", _POLICY, build=_cache_policy),
    id="CachePolicy.Id",
    read=_read_cache_policy,
    key={"Id": "id", "IfMatch": "etag"},
    update=(Step("update_cache_policy", _POLICY, build=_cache_policy),),
    delete="delete_cache_policy",
    replace="name",
    defaults={"defaultTtl": 86_400, "maxTtl": 31_536_000, "minTtl": 0},
    volatile="etag",
)

ROWS: Final = (DISTRIBUTION, CACHE_POLICY, ORIGIN_ACCESS_CONTROL)
