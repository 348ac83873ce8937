"""VPC Block Public Access: moto has no such option of an account."""

from __future__ import annotations

from typing import Final

from cli.localcloud.recorded.base import CHANGED, Recorded

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
)
