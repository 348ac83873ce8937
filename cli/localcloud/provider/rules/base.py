"""What the rules of all services share."""

from __future__ import annotations

import functools
import ipaddress
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final
from zoneinfo import ZoneInfo, available_timezones

from botocore.utils import parse_to_aware_datetime
from cronsim import CronSim, CronSimError

if TYPE_CHECKING:
    from cli.localcloud.provider.aws import Cloud

Request = dict[str, Any]
Check = Callable[["Cloud", Request], None]


class RefusedError(Exception):
    """AWS refuses such a request: with its own error code."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(f"{code}: {message}")
        self.code = code
        self.message = message


@dataclass(frozen=True)
class Rule:
    """One rule of one operation."""

    check: Check
    live: bool


_RULES: Final[dict[tuple[str, str], list[Rule]]] = {}


def rule(service: str, *operations: str, live: bool = False) -> Callable[[Check], Check]:
    """Register a function as a rule of these operations (snake case)."""

    def register(check: Check) -> Check:
        for operation in operations:
            _RULES.setdefault((service, operation), []).append(Rule(check, live))
        return check

    return register


def rules_of(service: str, operation: str) -> Sequence[Rule]:
    """The rules of an operation."""
    return _RULES.get((service, operation), ())


def validation_code(service: str) -> str:
    """The code with which a service refuses a value that its model does not allow."""
    match service:
        case "efs":
            return "BadRequest"
        case "ec2" | "rds" | "elasticache":
            return "InvalidParameterValue"
        case "autoscaling" | "elbv2" | "iam" | "cloudwatch":
            return "ValidationError"
        case _:
            return "ValidationException"


def moment(value: Any) -> datetime | None:
    """A request's time in UTC."""
    return None if value is None else parse_to_aware_datetime(value).astimezone(UTC)


def refuse_unless(holds: bool, code: str, message: str) -> None:
    """Raise `RefusedError` when a rule does not hold."""
    if not holds:
        raise RefusedError(code, message)


def zone(name: str | None, code: str) -> ZoneInfo:
    """The IANA time zone of that name; UTC when none is given."""
    refuse_unless(name is None or name in _zones(), code, f"{name!r} is no IANA time zone")
    return ZoneInfo(name or "UTC")


@functools.cache
def _zones() -> frozenset[str]:
    return frozenset(available_timezones())


def cron(expression: str, start: datetime, code: str) -> CronSim:
    """The occurrences of a five-field cron expression after a local time."""
    refuse_unless(
        len(expression.split()) == 5,
        code,
        f"Given recurrence string: {expression} is invalid: it must have 5 fields",
    )
    try:
        return CronSim(expression, start)
    except CronSimError as error:
        raise RefusedError(
            code, f"Given recurrence string: {expression} is invalid: {error}"
        ) from error


def check_window(request: Request, now: datetime, code: str) -> None:
    """StartTime and EndTime: neither in the past, in this order."""
    start, end = moment(request.get("StartTime")), moment(request.get("EndTime"))
    refuse_unless(
        start is None or start > now, code, f"Given start time is in the past: {start} (now {now})"
    )
    refuse_unless(
        end is None or end > now, code, f"Given end time is in the past: {end} (now {now})"
    )
    refuse_unless(
        start is None or end is None or start < end,
        code,
        f"The end time {end} must be after the start time {start}",
    )


def cidr(text: str, code: str) -> ipaddress.IPv4Network:
    """An IPv4 range with no host bits set: pulumi-aws and AWS refuse others."""
    try:
        return ipaddress.IPv4Network(text)
    except ValueError as error:
        raise RefusedError(code, f"Value ({text}) is no CIDR block: {error}") from error
