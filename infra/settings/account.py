"""`account`: settings of the whole AWS account, which other stacks in it share."""

from __future__ import annotations

from infra.settings.base import Settings


class AccountSettings(Settings):
    """Both are what AWS's security controls ask for (EC2.7, S3.1); off needs an exception.

    Turn them off where something else in the account needs public buckets or plain volumes.
    """

    encrypt_volumes: bool = True
    block_public_buckets: bool = True
