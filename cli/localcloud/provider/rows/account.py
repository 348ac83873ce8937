"""Settings of a whole account: EBS encryption by default, S3's block of public access."""

from __future__ import annotations

from typing import Final

from cli.localcloud.provider.aws import AwsError, Cloud
from cli.localcloud.provider.machine import Live, Row, Step
from cli.localcloud.provider.values import Properties

_SWITCHES: Final = "blockPublicAcls blockPublicPolicy ignorePublicAcls restrictPublicBuckets"


def _switch_encryption(cloud: Cloud, state: Properties, _: frozenset[str]) -> None:
    verb = "enable" if state.get("enabled", True) else "disable"
    cloud.call("ec2", f"{verb}_ebs_encryption_by_default")


def _encryption_off(cloud: Cloud, _: Properties, __: frozenset[str]) -> None:
    cloud.call("ec2", "disable_ebs_encryption_by_default")


def _read_encryption(cloud: Cloud, _: Properties) -> Live:
    return {"Enabled": cloud.call("ec2", "get_ebs_encryption_by_default")["EbsEncryptionByDefault"]}


def _put_block(cloud: Cloud, state: Properties, _: frozenset[str]) -> None:
    cloud.call(
        "s3control",
        "put_public_access_block",
        AccountId=cloud.account,
        PublicAccessBlockConfiguration={
            switch[0].upper() + switch[1:]: bool(state.get(switch, False))
            for switch in _SWITCHES.split()
        },
    )


def _remove_block(cloud: Cloud, _: Properties, __: frozenset[str]) -> None:
    cloud.call("s3control", "delete_public_access_block", AccountId=cloud.account)


def _read_block(cloud: Cloud, _: Properties) -> Live | None:
    try:
        found = cloud.call("s3control", "get_public_access_block", AccountId=cloud.account)
    except AwsError as error:
        if error.code == "NoSuchPublicAccessBlockConfiguration":
            return None
        raise
    return found["PublicAccessBlockConfiguration"] | {"AccountId": cloud.account}


ENCRYPTION_BY_DEFAULT: Final = Row(
    type="aws:ebs/encryptionByDefault:EncryptionByDefault",
    service="ec2",
    create=Step(props="enabled", run=_switch_encryption),
    id=lambda _: "ebs-encryption-by-default",
    read=_read_encryption,
    key={},
    update=(Step(props="enabled", run=_switch_encryption),),
    delete=Step(run=_encryption_off),
    defaults={"enabled": True},
)

PUBLIC_ACCESS_BLOCK: Final = Row(
    type="aws:s3/accountPublicAccessBlock:AccountPublicAccessBlock",
    service="s3control",
    create=Step(props=_SWITCHES, run=_put_block),
    id=lambda _: "public-access-block",
    read=_read_block,
    key={},
    update=(Step(props=_SWITCHES, run=_put_block),),
    delete=Step(run=_remove_block),
    defaults=dict.fromkeys(_SWITCHES.split(), False),
    computed="accountId",
)

ROWS: Final = (ENCRYPTION_BY_DEFAULT, PUBLIC_ACCESS_BLOCK)
