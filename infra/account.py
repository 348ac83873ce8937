"""Two settings of the whole account: EBS encryption by default, and no public S3 buckets.

Every stack of an account turns the same switches on; none turns them off again when it goes, since
others may rely on them.
"""

from __future__ import annotations

import pulumi
import pulumi_aws as aws

from infra.settings.account import AccountSettings


class Account(pulumi.ComponentResource):
    """The switches that the settings leave on, in the account and Region of the stack."""

    def __init__(
        self, name: str, settings: AccountSettings, opts: pulumi.ResourceOptions | None = None
    ) -> None:
        super().__init__("firstbell:account:Account", name, None, opts)
        child = pulumi.ResourceOptions(parent=self, retain_on_delete=True)
        if settings.encrypt_volumes:
            aws.ebs.EncryptionByDefault(name, enabled=True, opts=child)
        if settings.block_public_buckets:
            aws.s3.AccountPublicAccessBlock(
                name,
                block_public_acls=True,
                block_public_policy=True,
                ignore_public_acls=True,
                restrict_public_buckets=True,
                opts=child,
            )
        self.register_outputs({})
