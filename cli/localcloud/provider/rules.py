"""Documented rules of AWS that neither botocore's model nor the local cloud enforces.

Each rule refuses a request with the code that AWS uses. `live` rules look at what exists already;
they do not run in previews, where what a request names may not exist yet.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from cli.localcloud.provider.aws import Cloud

Request = dict[str, Any]


class Refused(Exception):
    """AWS refuses such a request: with its own error code."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(f"{code}: {message}")
        self.code = code
        self.message = message


@dataclass(frozen=True)
class _Rule:
    check: Callable[[Cloud, Request], None]
    live: bool


_RULES: Final[dict[tuple[str, str], list[_Rule]]] = {}


def validation_code(service: str) -> str:
    """The code with which a service refuses a value that its model does not allow."""
    match service:
        case "ec2" | "rds" | "elasticache":
            return "InvalidParameterValue"
        case "autoscaling" | "elbv2" | "iam" | "cloudwatch":
            return "ValidationError"
        case _:
            return "ValidationException"


def check(cloud: Cloud, service: str, operation: str, request: Request, *, preview: bool) -> None:
    """Run the rules of an operation.

    Raises:
        Refused: AWS would refuse the request.
    """
    for rule in _RULES.get((service, operation), ()):
        if not (preview and rule.live):
            rule.check(cloud, request)
