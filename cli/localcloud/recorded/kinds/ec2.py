"""VPC Block Public Access, which moto does not have, and the kinds of ICMP that it forgets."""

from __future__ import annotations

import secrets
from typing import Final

from cli.localcloud.recorded.base import CHANGED, NOW, Amended, Answer, Asked, Recorded, Thing


def _icmp(asked: Asked, acl: str) -> dict[str, Thing]:
    return asked.store.things("ec2", f"ICMP types of {acl}", asked.region)


def _set_entry(asked: Asked) -> Answer:
    request = asked.request
    answer = asked.moto()
    entry = f"{request['RuleNumber']} {request['Egress']}"
    kinds = _icmp(asked, request["NetworkAclId"])
    kinds.pop(entry, None)
    if "IcmpTypeCode" in request:
        kinds[entry] = request["IcmpTypeCode"]
    return answer


def _describe_acls(asked: Asked) -> Answer:
    answer = asked.moto()
    for acl in answer.get("NetworkAcls", []):
        kinds = _icmp(asked, acl["NetworkAclId"])
        for entry in acl["Entries"]:
            found = kinds.get(f"{entry['RuleNumber']} {entry['Egress']}")
            if found is not None:
                entry["IcmpTypeCode"] = found
    return answer


AMENDED: Final = (
    Amended("ec2", "CreateNetworkAclEntry", _set_entry),
    Amended("ec2", "ReplaceNetworkAclEntry", _set_entry),
    Amended("ec2", "DescribeNetworkAcls", _describe_acls),
)

RECORDED: Final = (
    Recorded(
        service="ec2",
        kind="VPC Block Public Access options",
        key="",
        create="ModifyVpcBlockPublicAccessOptions",
        put=True,
        describe="DescribeVpcBlockPublicAccessOptions",
        made={
            "AwsAccountId": "{account}",
            "AwsRegion": "{region}",
            "State": "update-complete",
            "LastUpdateTimestamp": CHANGED,
            "ManagedBy": "account",
            "ExclusionsAllowed": "allowed",
        },
        unset={"InternetGatewayBlockMode": "off"},
    ),
    Recorded(
        service="ec2",
        kind="VPC Block Public Access exclusion",
        key="ExclusionId",
        create="CreateVpcBlockPublicAccessExclusion",
        update="ModifyVpcBlockPublicAccessExclusion",
        delete="DeleteVpcBlockPublicAccessExclusion",
        list="DescribeVpcBlockPublicAccessExclusions",
        wanted={"ExclusionIds": "ExclusionId"},
        missing="InvalidVpcBlockPublicAccessExclusionId.NotFound",
        new_id=lambda: f"vpcbpa-exclude-{secrets.token_hex(8)}",
        made={
            "ResourceArn": "arn:aws:ec2:{region}:{account}:vpc/{VpcId}",
            "State": "create-complete",
            "CreationTimestamp": NOW,
        },
    ),
)
