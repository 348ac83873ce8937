"""The life of an account's settings."""

from __future__ import annotations

from typing import Final

import pulumi_aws as aws

from cli.localcloud.endpoint import keep_host
from tests.cli.localcloud.provider.chapters.base import Drift, Shared, Variant


def program(variant: Variant, shared: Shared) -> None:
    del shared
    aws.ebs.EncryptionByDefault("account-encryption", enabled=variant.either(True, False))
    aws.s3.AccountPublicAccessBlock(
        "account-public-access",
        block_public_acls=True,
        block_public_policy=True,
        ignore_public_acls=True,
        restrict_public_buckets=variant.either(True, False),
    )


DRIFTS: Final[dict[str, Drift]] = {
    "account-encryption": lambda c, _: c("ec2").disable_ebs_encryption_by_default(),
    "account-public-access": lambda c, s: keep_host(c("s3control")).delete_public_access_block(
        AccountId=s["outputs"]["accountId"]
    ),
}
REMOVED: Final = {"account-public-access"}
