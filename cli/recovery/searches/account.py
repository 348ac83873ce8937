"""Settings of the account: nothing is to be found, and turning one on again does no harm."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from cli.recovery.searches.base import Search

SEARCHES: Final[Mapping[str, Search]] = {}
REPEATABLE: Final = frozenset(
    {
        "aws:ebs/encryptionByDefault:EncryptionByDefault",
        "aws:s3/accountPublicAccessBlock:AccountPublicAccessBlock",
    }
)
