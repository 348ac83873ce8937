"""For each control a change to the sound stack that makes exactly that control fail.

Where two of AWS's controls ask the same of the same resource, both fail, and are named.
"""

from __future__ import annotations

import copy
import json
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

from infra.policy.base import UNKNOWN, Resource
from tests.infra.policy import sound
from tests.infra.policy.sound import BUCKET, identity, resource

Change = Callable[[list[Resource]], list[Resource]]


@dataclass(frozen=True)
class Twin:
    """The change, and the controls that it breaks."""

    breaks: frozenset[str]
    change: Change
    hides: Change | None
    """Makes the same value unknown instead."""


def at(properties: dict[str, Any], path: str, value: Any) -> None:
    """Put a value at a path; None takes it away."""
    *way, last = path.split(".")
    place: Any = properties
    for part in way:
        place = place[int(part)] if isinstance(place, list) else place.setdefault(part, {})
    if isinstance(place, list):
        place[int(last)] = value
    elif value is None:
        place.pop(last, None)
    else:
        place[last] = value


def setting(kind: str, path: str, value: Any, name: str | None = None) -> Change:
    """Set a property of the resources of a type (and name)."""

    def change(resources: list[Resource]) -> list[Resource]:
        found: list[Resource] = []
        for each in resources:
            if each.type == kind and name in (None, each.name):
                properties: dict[str, Any] = copy.deepcopy(dict(each.properties))
                at(properties, path, value)
                found.append(replace(each, properties=properties))
            else:
                found.append(each)
        assert found != resources, f"there is no {kind} to change, or it is so already"
        return found

    return change


def without(kind: str, name: str | None = None) -> Change:
    """Take the resources of a type (and name) away."""

    def change(resources: list[Resource]) -> list[Resource]:
        found = [each for each in resources if each.type != kind or name not in (None, each.name)]
        assert len(found) < len(resources)
        return found

    return change


def adding(*more: Resource) -> Change:
    return lambda resources: [*resources, *more]


def twin(
    control: str, kind: str, path: str, value: Any, *, also: str = "", name: str | None = None
) -> tuple[str, Twin]:
    breaks = frozenset({control, *also.split()})
    top = path.split(".", maxsplit=1)[0]
    return control, Twin(
        breaks, setting(kind, path, value, name), setting(kind, top, UNKNOWN, name)
    )


def structural(control: str, change: Change, *, also: str = "") -> tuple[str, Twin]:
    return control, Twin(frozenset({control, *also.split()}), change, None)


def public(action: str) -> str:
    """A policy that still requires TLS, but lets everybody do an action."""
    document = json.loads(sound.tls_only(identity(BUCKET, "files")))
    document["Statement"].append(
        {"Effect": "Allow", "Principal": "*", "Action": action, "Resource": "*"}
    )
    return json.dumps(document)


def endpoint(control: str, service: str) -> tuple[str, Twin]:
    return control, Twin(
        frozenset({control}),
        without(sound.ENDPOINT, service),
        setting(sound.ENDPOINT, "serviceName", UNKNOWN, service),
    )


def subscription(control: str, source: str) -> tuple[str, Twin]:
    return twin(control, sound.EVENTS, "eventCategories", ["creation"], name=source)


TWINS: dict[str, Twin] = dict(
    [
        structural(
            "ELB.1",
            adding(
                resource(
                    sound.LISTENER,
                    "http",
                    protocol="HTTP",
                    port=80,
                    defaultActions=[{"type": "forward"}],
                )
            ),
            also="ELB.18",
        ),
        twin("ELB.4", sound.BALANCER, "dropInvalidHeaderFields", False),
        twin("ELB.5", sound.BALANCER, "accessLogs.enabled", False),
        twin("ELB.6", sound.BALANCER, "enableDeletionProtection", False),
        twin("ELB.12", sound.BALANCER, "desyncMitigationMode", "monitor"),
        twin("ELB.13", sound.BALANCER, "subnets", [identity(sound.SUBNET, "zone-a")]),
        structural("ELB.16", without(sound.ASSOCIATION)),
        twin("ELB.17", sound.LISTENER, "sslPolicy", "ELBSecurityPolicy-TLS13-1-2-2021-06"),
        structural(
            "ELB.18",
            adding(
                resource(
                    sound.LISTENER,
                    "http",
                    protocol="HTTP",
                    port=80,
                    defaultActions=[{"type": "redirect", "redirect": {"protocol": "HTTPS"}}],
                )
            ),
        ),
        twin("ELB.21", sound.TARGETS, "healthCheck.protocol", "HTTP"),
        twin("ELB.22", sound.TARGETS, "protocol", "HTTP"),
        twin("AutoScaling.1", sound.GROUP, "healthCheckType", "EC2"),
        twin(
            "AutoScaling.2", sound.GROUP, "vpcZoneIdentifiers", [identity(sound.SUBNET, "zone-a")]
        ),
        twin(
            "AutoScaling.6",
            sound.GROUP,
            "mixedInstancesPolicy.launchTemplate.overrides",
            [{"instanceType": "m7i.large"}],
        ),
        twin("AutoScaling.9", sound.GROUP, "launchConfiguration", "old"),
        structural("EC2.2", without(sound.DEFAULT_GROUP)),
        twin("EC2.3", sound.TEMPLATE, "blockDeviceMappings", []),
        structural("EC2.6", without(sound.FLOW_LOG)),
        structural("EC2.7", without(sound.EBS)),
        twin("EC2.8", sound.TEMPLATE, "metadataOptions.httpTokens", "optional", also="EC2.170"),
        twin("EC2.9", sound.TEMPLATE, "networkInterfaces", []),
        endpoint("EC2.10", "ec2"),
        twin("EC2.15", sound.SUBNET, "mapPublicIpOnLaunch", True, also="EFS.6", name="zone-a"),
        twin("EC2.18", sound.INGRESS, "toPort", 444),
        structural(
            "EC2.19",
            adding(
                resource(
                    sound.INGRESS,
                    "ssh",
                    cidrIpv6="::/0",
                    ipProtocol="tcp",
                    fromPort=22,
                    toPort=22,
                )
            ),
            also="EC2.18",
        ),
        twin("EC2.21", sound.ACL, "ingress.0.fromPort", 22),
        twin(
            "EC2.25",
            sound.TEMPLATE,
            "networkInterfaces.0.associatePublicIpAddress",
            "true",
            also="EC2.9",
        ),
        endpoint("EC2.55", "ecr.api"),
        endpoint("EC2.56", "ecr.dkr"),
        endpoint("EC2.57", "ssm"),
        endpoint("EC2.58", "ssm-contacts"),
        endpoint("EC2.60", "ssm-incidents"),
        twin("EC2.172", sound.BLOCK_PUBLIC, "internetGatewayBlockMode", "off"),
        twin("EC2.170", sound.TEMPLATE, "metadataOptions.httpTokens", None, also="EC2.8"),
        twin(
            "EC2.181", sound.TEMPLATE, "blockDeviceMappings.0.ebs.encrypted", "false", also="EC2.3"
        ),
        twin("RDS.2", sound.INSTANCE, "publiclyAccessible", True, name="writer"),
        twin("RDS.3", sound.CLUSTER, "storageEncrypted", False, also="RDS.27"),
        twin("RDS.5", sound.SUBNETS, "subnetIds", [identity(sound.SUBNET, "zone-a")]),
        twin("RDS.6", sound.INSTANCE, "monitoringInterval", 0, name="replica"),
        twin("RDS.7", sound.CLUSTER, "deletionProtection", False),
        twin("RDS.9", sound.CLUSTER, "enabledCloudwatchLogsExports", [], also="RDS.37"),
        twin("RDS.10", sound.CLUSTER, "iamDatabaseAuthenticationEnabled", False, also="RDS.12"),
        twin("RDS.11", sound.CLUSTER, "backupRetentionPeriod", 6),
        twin("RDS.12", sound.CLUSTER, "iamDatabaseAuthenticationEnabled", None, also="RDS.10"),
        twin("RDS.13", sound.INSTANCE, "autoMinorVersionUpgrade", False, name="writer"),
        structural("RDS.15", without(sound.INSTANCE, "replica")),
        twin("RDS.16", sound.CLUSTER, "copyTagsToSnapshot", False),
        twin("RDS.17", sound.INSTANCE, "copyTagsToSnapshot", None, name="writer"),
        twin("RDS.18", sound.CLUSTER, "dbSubnetGroupName", None),
        subscription("RDS.19", "db-cluster"),
        subscription("RDS.20", "db-instance"),
        subscription("RDS.21", "db-parameter-group"),
        subscription("RDS.22", "db-security-group"),
        twin("RDS.24", sound.CLUSTER, "masterUsername", "postgres"),
        twin("RDS.27", sound.CLUSTER, "storageEncrypted", None, also="RDS.3"),
        structural(
            "RDS.34",
            lambda resources: setting(
                sound.CLUSTER, "enabledCloudwatchLogsExports", ["error", "general", "slowquery"]
            )(setting(sound.CLUSTER, "engine", "aurora-mysql")(resources)),
            also="RDS.9",
        ),
        twin("RDS.37", sound.CLUSTER, "enabledCloudwatchLogsExports", None, also="RDS.9"),
        twin("S3.1", sound.ACCOUNT_BLOCK, "restrictPublicBuckets", False),
        twin("S3.2", sound.BUCKET_POLICY, "policy", public("s3:Get*"), name="files"),
        twin("S3.3", sound.BUCKET_POLICY, "policy", public("s3:PutObject"), name="files"),
        twin("S3.5", sound.BUCKET_POLICY, "policy", json.dumps({"Statement": []}), name="files"),
        twin("S3.8", sound.BLOCK, "blockPublicPolicy", False, name="files"),
        structural("S3.9", without(sound.BUCKET_LOGGING)),
        twin("S3.12", sound.OWNERSHIP, "rule.objectOwnership", "ObjectWriter", name="files"),
        twin("S3.13", sound.LIFECYCLE, "rules.0.status", "Disabled", name="files"),
        twin("CloudFront.1", sound.CDN, "defaultRootObject", None),
        twin(
            "CloudFront.3", sound.CDN, "orderedCacheBehaviors.0.viewerProtocolPolicy", "allow-all"
        ),
        twin("CloudFront.4", sound.CDN, "originGroups", []),
        twin("CloudFront.5", sound.CDN, "loggingConfig", None),
        twin("CloudFront.6", sound.CDN, "webAclId", None),
        twin("CloudFront.7", sound.CDN, "viewerCertificate.acmCertificateArn", None),
        twin("CloudFront.8", sound.CDN, "viewerCertificate.sslSupportMethod", "vip"),
        twin(
            "CloudFront.9",
            sound.CDN,
            "origins.0.customOriginConfig.originProtocolPolicy",
            "http-only",
        ),
        twin(
            "CloudFront.10",
            sound.CDN,
            "origins.0.customOriginConfig.originSslProtocols",
            ["SSLv3", "TLSv1.2"],
        ),
        twin("CloudFront.12", sound.CDN, "origins.1.domainName", "gone.s3.test"),
        twin("CloudFront.13", sound.CDN, "origins.1.originAccessControlId", None),
        twin(
            "CloudFront.15", sound.CDN, "viewerCertificate.minimumProtocolVersion", "TLSv1.1_2016"
        ),
        twin("WAF.10", sound.WEB_ACL, "rules", []),
        twin("WAF.12", sound.WEB_ACL, "rules.0.visibilityConfig.cloudwatchMetricsEnabled", False),
        twin("EFS.1", sound.FILES, "encrypted", False, also="EFS.8"),
        structural("EFS.2", without(sound.SELECTION)),
        twin("EFS.3", sound.ACCESS_POINT, "rootDirectory.path", "/"),
        twin("EFS.4", sound.ACCESS_POINT, "posixUser", None),
        twin("EFS.6", sound.SUBNET, "mapPublicIpOnLaunch", True, also="EC2.15", name="zone-a"),
        twin("EFS.7", sound.EFS_BACKUP, "backupPolicy.status", "DISABLED"),
        twin("EFS.8", sound.FILES, "encrypted", None, also="EFS.1"),
        twin("ElastiCache.1", sound.CACHE, "snapshotRetentionLimit", 0),
        twin("ElastiCache.2", sound.CACHE, "autoMinorVersionUpgrade", False),
        twin("ElastiCache.3", sound.CACHE, "automaticFailoverEnabled", False),
        twin("ElastiCache.4", sound.CACHE, "atRestEncryptionEnabled", False),
        twin("ElastiCache.5", sound.CACHE, "transitEncryptionEnabled", False),
        twin("ElastiCache.6", sound.CACHE, "engineVersion", "5.0.6"),
        twin("ElastiCache.7", sound.CACHE, "subnetGroupName", "default"),
    ]
)
