"""Documented rules of AWS that neither botocore's model nor the local cloud enforces.

Each rule refuses a request with the code that AWS uses; one module a service. A rule that looks at
what exists already is `live`: it does not run in previews, where what a request names may not
exist yet. Requests may lack members (previews leave out what is unknown), so rules look before
they leap.
"""

from __future__ import annotations

import functools
import importlib
from typing import TYPE_CHECKING, Final

from cli.localcloud.provider.rules.base import RefusedError, Request, rules_of, validation_code

if TYPE_CHECKING:
    from cli.localcloud.provider.aws import Cloud

__all__ = ["RefusedError", "check", "validation_code"]

_MODULES: Final = {
    "application-autoscaling": "appautoscaling",
    "autoscaling": "autoscaling",
    "cloudfront": "cloudfront",
    "cloudwatch": "cloudwatch",
    "ec2": "ec2",
    "efs": "efs",
    "elasticache": "elasticache",
    "elbv2": "elbv2",
    "events": "events",
    "rds": "rds",
    "scheduler": "scheduler",
    "sqs": "sqs",
    "stepfunctions": "stepfunctions",
    "wafv2": "wafv2",
}


@functools.cache
def _load(service: str) -> None:
    if service in _MODULES:
        importlib.import_module(f"{__name__}.{_MODULES[service]}")


def check(cloud: Cloud, service: str, operation: str, request: Request, *, preview: bool) -> None:
    """Run the rules of an operation.

    Raises:
        RefusedError: AWS would refuse the request.
    """
    _load(service)
    for rule in rules_of(service, operation):
        if not (preview and rule.live):
            rule.check(cloud, request)
