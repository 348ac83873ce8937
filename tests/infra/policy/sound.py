"""A stack that keeps every control of the pack, as it is applied and as a new stack plans it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from infra.policy.base import UNKNOWN, Resource

ACCOUNT = "arn:aws:test:eu-north-1:123456789012"


def identity(kind: str, name: str) -> str:
    """The id that a resource has once it is applied."""
    return f"{kind.rsplit(':', 1)[-1].lower()}-{name}"


def arn(kind: str, name: str) -> str:
    return f"{ACCOUNT}:{identity(kind, name)}"


def resource(kind: str, label: str, /, **properties: Any) -> Resource:
    """A resource as the state records it."""
    known = {"id": identity(kind, label), "arn": arn(kind, label)}
    return Resource(f"urn:pulumi:test::firstbell::{kind}::{label}", kind, label, properties | known)


VPC = "aws:ec2/vpc:Vpc"
SUBNET = "aws:ec2/subnet:Subnet"
ENDPOINT = "aws:ec2/vpcEndpoint:VpcEndpoint"
TEMPLATE = "aws:ec2/launchTemplate:LaunchTemplate"
INGRESS = "aws:vpc/securityGroupIngressRule:SecurityGroupIngressRule"
ACL = "aws:ec2/networkAcl:NetworkAcl"
DEFAULT_GROUP = "aws:ec2/defaultSecurityGroup:DefaultSecurityGroup"
FLOW_LOG = "aws:ec2/flowLog:FlowLog"
EBS = "aws:ebs/encryptionByDefault:EncryptionByDefault"
BLOCK_PUBLIC = "aws:ec2/vpcBlockPublicAccessOptions:VpcBlockPublicAccessOptions"
BALANCER = "aws:lb/loadBalancer:LoadBalancer"
LISTENER = "aws:lb/listener:Listener"
TARGETS = "aws:lb/targetGroup:TargetGroup"
ASSOCIATION = "aws:wafv2/webAclAssociation:WebAclAssociation"
WEB_ACL = "aws:wafv2/webAcl:WebAcl"
GROUP = "aws:autoscaling/group:Group"
CLUSTER = "aws:rds/cluster:Cluster"
INSTANCE = "aws:rds/clusterInstance:ClusterInstance"
SUBNETS = "aws:rds/subnetGroup:SubnetGroup"
EVENTS = "aws:rds/eventSubscription:EventSubscription"
BUCKET = "aws:s3/bucket:Bucket"
BLOCK = "aws:s3/bucketPublicAccessBlock:BucketPublicAccessBlock"
ACCOUNT_BLOCK = "aws:s3/accountPublicAccessBlock:AccountPublicAccessBlock"
BUCKET_POLICY = "aws:s3/bucketPolicy:BucketPolicy"
OWNERSHIP = "aws:s3/bucketOwnershipControls:BucketOwnershipControls"
BUCKET_LOGGING = "aws:s3/bucketLogging:BucketLogging"
LIFECYCLE = "aws:s3/bucketLifecycleConfiguration:BucketLifecycleConfiguration"
CDN = "aws:cloudfront/distribution:Distribution"
FILES = "aws:efs/fileSystem:FileSystem"
ACCESS_POINT = "aws:efs/accessPoint:AccessPoint"
MOUNT_TARGET = "aws:efs/mountTarget:MountTarget"
EFS_BACKUP = "aws:efs/backupPolicy:BackupPolicy"
SELECTION = "aws:backup/selection:Selection"
CACHE = "aws:elasticache/replicationGroup:ReplicationGroup"

CLOSED = {
    "blockPublicAcls": True,
    "blockPublicPolicy": True,
    "ignorePublicAcls": True,
    "restrictPublicBuckets": True,
}
CERTIFICATE = "arn:aws:acm:us-east-1:123456789012:certificate/one"


def tls_only(name: str) -> str:
    bucket = f"arn:aws:s3:::{name}"
    return json.dumps(
        {
            "Version": "2012-10-17",
            "Statement": [
                {
                    "Effect": "Deny",
                    "Principal": "*",
                    "Action": "s3:*",
                    "Resource": [bucket, f"{bucket}/*"],
                    "Condition": {"Bool": {"aws:SecureTransport": "false"}},
                }
            ],
        }
    )


def network() -> list[Resource]:
    vpc = identity(VPC, "net")
    services = ("ec2", "ecr.api", "ecr.dkr", "ssm", "ssm-contacts", "ssm-incidents")
    return [
        resource(VPC, "net", cidrBlock="10.0.0.0/16"),
        resource(DEFAULT_GROUP, "net", vpcId=vpc, ingress=[], egress=[]),
        resource(FLOW_LOG, "net", vpcId=vpc, trafficType="ALL"),
        *(
            resource(SUBNET, f"zone-{zone}", vpcId=vpc, availabilityZone=f"eu-north-1{zone}")
            for zone in "ab"
        ),
        *(
            resource(
                ENDPOINT,
                service,
                vpcId=vpc,
                vpcEndpointType="Interface",
                serviceName=f"com.amazonaws.eu-north-1.{service}",
            )
            for service in services
        ),
        resource(
            INGRESS, "https", cidrIpv4="0.0.0.0/0", ipProtocol="tcp", fromPort=443, toPort=443
        ),
        resource(
            ACL,
            "net",
            vpcId=vpc,
            ingress=[
                {
                    "action": "allow",
                    "cidrBlock": "0.0.0.0/0",
                    "protocol": "tcp",
                    "fromPort": 443,
                    "toPort": 443,
                }
            ],
        ),
        resource(EBS, "account", enabled=True),
        resource(BLOCK_PUBLIC, "account", internetGatewayBlockMode="block-bidirectional"),
    ]


def web() -> list[Resource]:
    subnets = [identity(SUBNET, f"zone-{zone}") for zone in "ab"]
    return [
        resource(
            BALANCER,
            "lb",
            loadBalancerType="application",
            dropInvalidHeaderFields=True,
            desyncMitigationMode="defensive",
            enableDeletionProtection=True,
            subnets=subnets,
            accessLogs={"enabled": True, "bucket": identity(BUCKET, "logs")},
        ),
        resource(
            LISTENER,
            "https",
            loadBalancerArn=arn(BALANCER, "lb"),
            protocol="HTTPS",
            port=443,
            sslPolicy="ELBSecurityPolicy-TLS13-1-2-Res-2021-06",
            defaultActions=[{"type": "fixed-response"}],
        ),
        resource(
            TARGETS,
            "web",
            protocol="HTTPS",
            targetType="instance",
            healthCheck={"protocol": "HTTPS"},
        ),
        resource(WEB_ACL, "lb", visibilityConfig=metrics(), rules=[rule("common")]),
        resource(ASSOCIATION, "lb", resourceArn=arn(BALANCER, "lb"), webAclArn=arn(WEB_ACL, "lb")),
        resource(
            TEMPLATE,
            "web",
            metadataOptions={"httpEndpoint": "enabled", "httpTokens": "required"},
            blockDeviceMappings=[{"deviceName": "/dev/xvda", "ebs": {"encrypted": "true"}}],
            networkInterfaces=[{"associatePublicIpAddress": "false"}],
        ),
        resource(
            GROUP,
            "web",
            vpcZoneIdentifiers=subnets,
            targetGroupArns=[arn(TARGETS, "web")],
            healthCheckType="ELB",
            mixedInstancesPolicy={
                "launchTemplate": {
                    "launchTemplateSpecification": {"launchTemplateId": identity(TEMPLATE, "web")},
                    "overrides": [{"instanceType": "m7i.large"}, {"instanceType": "m6i.large"}],
                }
            },
        ),
    ]


def rule(name: str) -> Mapping[str, Any]:
    return {"name": name, "priority": 1, "visibilityConfig": metrics()}


def metrics() -> Mapping[str, Any]:
    return {"cloudwatchMetricsEnabled": True, "metricName": "m", "sampledRequestsEnabled": True}


def database() -> list[Resource]:
    wanted = {
        "db-cluster": ["maintenance", "failure"],
        "db-instance": ["maintenance", "configuration change", "failure"],
        "db-parameter-group": ["configuration change"],
        "db-security-group": ["configuration change", "failure"],
    }
    return [
        resource(
            SUBNETS, "db", name="db", subnetIds=[identity(SUBNET, f"zone-{zone}") for zone in "ab"]
        ),
        resource(
            CLUSTER,
            "db",
            clusterIdentifier="db",
            engine="aurora-postgresql",
            dbSubnetGroupName="db",
            storageEncrypted=True,
            deletionProtection=True,
            iamDatabaseAuthenticationEnabled=True,
            copyTagsToSnapshot=True,
            backupRetentionPeriod=14,
            masterUsername="firstbell",
            enabledCloudwatchLogsExports=["postgresql"],
        ),
        *(
            resource(
                INSTANCE,
                role,
                clusterIdentifier="db",
                publiclyAccessible=False,
                monitoringInterval=60,
                autoMinorVersionUpgrade=True,
                copyTagsToSnapshot=True,
            )
            for role in ("writer", "replica")
        ),
        *(
            resource(EVENTS, source, sourceType=source, eventCategories=categories)
            for source, categories in wanted.items()
        ),
    ]


def storage() -> list[Resource]:
    found = [resource(ACCOUNT_BLOCK, "account", **CLOSED)]
    for name in ("logs", "files"):
        bucket = identity(BUCKET, name)
        found += [
            resource(BUCKET, name, bucket=bucket, bucketRegionalDomainName=f"{bucket}.s3.test"),
            resource(BLOCK, name, bucket=bucket, **CLOSED),
            resource(BUCKET_POLICY, name, bucket=bucket, policy=tls_only(bucket)),
            resource(
                OWNERSHIP, name, bucket=bucket, rule={"objectOwnership": "BucketOwnerEnforced"}
            ),
            resource(LIFECYCLE, name, bucket=bucket, rules=[{"id": "old", "status": "Enabled"}]),
        ]
    return [
        *found,
        resource(
            BUCKET_LOGGING,
            "files",
            bucket=identity(BUCKET, "files"),
            targetBucket=identity(BUCKET, "logs"),
        ),
        resource(
            CDN,
            "edge",
            defaultRootObject="index.html",
            webAclId=arn(WEB_ACL, "lb"),
            loggingConfig={"bucket": "logs.s3.test"},
            defaultCacheBehavior={"viewerProtocolPolicy": "redirect-to-https"},
            orderedCacheBehaviors=[{"viewerProtocolPolicy": "https-only"}],
            origins=[
                {
                    "domainName": "lb.test",
                    "customOriginConfig": {
                        "originProtocolPolicy": "https-only",
                        "originSslProtocols": ["TLSv1.2"],
                    },
                },
                {
                    "domainName": f"{identity(BUCKET, 'files')}.s3.test",
                    "originAccessControlId": "oac",
                },
            ],
            originGroups=[{"members": [{"originId": "lb"}, {"originId": "files"}]}],
            viewerCertificate={
                "acmCertificateArn": CERTIFICATE,
                "sslSupportMethod": "sni-only",
                "minimumProtocolVersion": "TLSv1.2_2021",
            },
        ),
        resource(FILES, "files", encrypted=True, tags={"stack": "test"}),
        resource(
            EFS_BACKUP,
            "files",
            fileSystemId=identity(FILES, "files"),
            backupPolicy={"status": "ENABLED"},
        ),
        resource(SELECTION, "all", resources=[arn(FILES, "files")]),
        resource(
            ACCESS_POINT,
            "moodledata",
            rootDirectory={"path": "/moodledata"},
            posixUser={"uid": 33, "gid": 33},
        ),
        resource(MOUNT_TARGET, "zone-a", subnetId=identity(SUBNET, "zone-a")),
        resource(
            CACHE,
            "cache",
            engine="redis",
            engineVersion="7.1",
            snapshotRetentionLimit=7,
            autoMinorVersionUpgrade=True,
            automaticFailoverEnabled=True,
            atRestEncryptionEnabled=True,
            transitEncryptionEnabled=True,
            subnetGroupName="cache",
        ),
    ]


def applied() -> list[Resource]:
    """Every value known, as in a state after `up`."""
    return [*network(), *web(), *database(), *storage()]


def planned(resources: list[Resource]) -> list[Resource]:
    """The same on a new stack: no id and no ARN is known, nor what is computed from one."""
    owners = {
        value: other.urn
        for other in resources
        for key in ("id", "arn", "bucketRegionalDomainName")
        if (value := other.properties.get(key)) is not None
    }

    def forget(value: Any, used: set[str]) -> Any:
        if isinstance(value, Mapping):
            return {key: forget(inner, used) for key, inner in value.items()}
        if isinstance(value, list):
            return [forget(inner, used) for inner in value]
        if isinstance(value, str):
            urns = {urn for known, urn in owners.items() if known in value}
            used |= urns
            return UNKNOWN if urns else value
        return value

    found: list[Resource] = []
    for each in resources:
        properties: dict[str, Any] = {}
        dependencies: dict[str, frozenset[str]] = {}
        for key, value in each.properties.items():
            if key in ("id", "arn", "bucketRegionalDomainName"):
                continue
            used: set[str] = set()
            properties[key] = forget(value, used)
            dependencies[key] = frozenset(used)
        found.append(replace(each, properties=properties, dependencies=dependencies))
    return found
