"""`account`: settings of the whole AWS account, which other stacks in it share."""

from __future__ import annotations

from pydantic import Field

from infra.settings.base import Settings


class AccountSettings(Settings):
    """Both are what AWS's security controls ask for (EC2.7, S3.1); off needs an exception.

    Turn them off where something else in the account needs public buckets or plain volumes.
    """

    encrypt_volumes: bool = Field(
        True, description="New EBS volumes of the account are encrypted by default."
    )
    block_public_buckets: bool = Field(
        True, description="No bucket of the account can be opened to the public."
    )
