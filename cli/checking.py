"""What is checked before the engine runs: the plan, the checks of `infra/checks`, and the money."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from infra import checks, clock
from infra.checks.base import Findings, Subject
from infra.checks.certificate import KEY, check_described
from infra.checks.hours import (
    MonthlyCost,
    MonthlyHours,
    cost_problems,
    monthly_cost,
    monthly_hours,
)
from infra.checks.names import EDGE_KEY, EDGE_REGION
from infra.errors import InputError, Problem, Problems
from infra.scheduling import plan_in_force
from infra.season.prices import PriceTable, read_prices
from infra.settings.stack import StackSettings

if TYPE_CHECKING:
    from cli.stack import OpenStack


@dataclass(frozen=True)
class Money:
    """A table of prices, and the most that the busiest month may cost; None sets no bound."""

    file: Path
    table: PriceTable
    most: float | None


@dataclass(frozen=True)
class Checked:
    """What the checks have to say of a stack that they let pass."""

    warnings: Sequence[str]
    hours: Sequence[MonthlyHours]
    cost: MonthlyCost | None

    def to_json(self) -> dict[str, object]:
        return {
            "hours_a_month": [row.to_json() for row in self.hours],
            "cost_a_month": None if self.cost is None else self.cost.to_json(),
        }


def money(prices: Path | None, most: float | None) -> Money | None:
    """What `--prices` and `--max-monthly-cost` ask for.

    Raises:
        InputError: a bound without prices, or one below zero.
        Problems: the price file has errors.
    """
    if prices is None:
        if most is not None:
            raise InputError(
                f"{most:g} cannot be compared with anything: no prices were given",
                where="--max-monthly-cost",
                fix="add --prices FILE, a dated table (firstbell season prices refresh writes one)",
            )
        return None
    # Written so that not-a-number is refused as well.
    if most is not None and not most >= 0:
        raise InputError(
            f"must be zero or more, not {most:g}",
            where="--max-monthly-cost",
            fix="give the most that a month may cost, in the currency of the prices",
        )
    return Money(prices, read_prices(prices), most)


def check(settings: StackSettings, asked: Money | None) -> Checked:
    """Check a stack's file and its plan; nothing is started for it.

    Raises:
        InputError: the season's plan does not hold.
        Problems: everything that AWS, a quota, the database or the bound on costs stands against.
    """
    moment = clock.now(settings.cloud)
    found = plan_in_force(settings, moment)
    plan = found[0] if found else None
    findings = checks.check(settings, plan.targets if plan else {})
    hours = monthly_hours(settings, plan)
    cost = None
    warnings = list(findings.warnings)
    problems = list(findings.problems)
    if asked is not None:
        cost = monthly_cost(hours, asked.table, settings)
        warnings += asked.table.dated_after(clock.now("aws").date())
        if asked.most is not None:
            problems += cost_problems(cost, asked.most, str(asked.file))
    _refuse(settings, problems)
    return Checked(warnings, hours, cost)


def check_certificate(stack: OpenStack) -> tuple[str, ...]:
    """Ask ACM about the certificates that an AWS stack names, the CDN's as well; warnings.

    Raises:
        Problems: there is none, it is not issued, or is for other names.
    """
    settings = stack.settings
    edge = settings.platform.edge
    named = [
        (KEY, settings.platform.certificate_arn, settings.region),
        (EDGE_KEY, edge and edge.certificate_arn, EDGE_REGION),
    ]
    findings = Findings()
    for key, arn, region in named:
        if stack.local is not None or arn is None:
            continue
        found = described(stack.client("acm", region), arn, key)
        if isinstance(found, Problem):
            findings += Findings((found,))
        else:
            now = clock.now(settings.cloud)
            findings += check_described(Subject(settings), found, now=now, key=key)
    _refuse(settings, list(findings.problems))
    return findings.warnings


def check_other_networks(stack: OpenStack) -> None:
    """Ask EC2 whether blocking public access would cut off somebody else's VPC.

    Raises:
        Problems: it would, and the stack's file does not say that it may.
    """
    settings = stack.settings
    if stack.local is not None or settings.platform.network.block_public_access is not None:
        return
    others = other_networks(stack.client("ec2"), settings.stack)
    if others:
        _refuse(
            settings,
            [
                Problem(
                    "firstbell:platform/network/block_public_access",
                    f"is not given, and it would cut {', '.join(others)} off the internet",
                    "write false where others share the account, true to cut them",
                )
            ],
        )


def other_networks(client: Any, stack: str) -> list[str]:
    """VPCs with an internet gateway that are not the stack's. `client` is boto3's for `ec2`."""
    return sorted(
        attachment["VpcId"]
        for page in client.get_paginator("describe_internet_gateways").paginate()
        for gateway in page["InternetGateways"]
        if {"Key": "stack", "Value": stack} not in gateway.get("Tags", [])
        for attachment in gateway["Attachments"]
    )


def described(client: Any, arn: str, key: str = KEY) -> Mapping[str, Any] | Problem:
    """What ACM says of a certificate, or why it says nothing. `client` is boto3's for `acm`."""
    from botocore.exceptions import BotoCoreError, ClientError

    try:
        return client.describe_certificate(CertificateArn=arn)["Certificate"]
    except (BotoCoreError, ClientError) as error:
        return Problem(
            key,
            f"ACM does not show {arn}: {error}",
            "check the ARN, and that the credentials allow acm:DescribeCertificate",
        )


def _refuse(settings: StackSettings, problems: list[Problem]) -> None:
    if problems:
        raise Problems(f"stacks/Pulumi.{settings.stack}.yaml", problems)
