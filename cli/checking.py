"""What is checked before the engine runs: the plan, the checks of `infra/checks`, and the money."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from cli import planning
from cli.localcloud.mends import SOMEBODYS_NAME, SOMEBODYS_ZONE
from infra import checks, clock
from infra.checks import Examined
from infra.checks.base import PLATFORM, Findings, Subject
from infra.checks.certificate import check_described
from infra.checks.hours import (
    MonthlyCost,
    MonthlyHours,
    cost_problems,
    monthly_cost,
    monthly_hours,
)
from infra.checks.images import problems_with_image
from infra.checks.names import zone_findings
from infra.checks.quotas import of_account
from infra.errors import InputError, Problem, Problems
from infra.policy import exceptions
from infra.season.prices import PriceTable, read_prices
from infra.settings.base import Unsound, sound, sound_figures
from infra.settings.dns import DnsSettings
from infra.settings.fleet import FleetSettings
from infra.settings.names import DNS_KEY, EDGE_KEY, EDGE_REGION, SITE_KEY
from infra.settings.stack import StackSettings, UnsoundStack

if TYPE_CHECKING:
    from cli.stack import OpenStack

# What EC2 and Systems Manager answer where there is none. EC2 API reference, "Error codes".
NO_SUCH_IMAGE: Final = frozenset(
    {
        "InvalidAMIID.Malformed",
        "InvalidAMIID.NotFound",
        "InvalidAMIID.Unavailable",
        "ParameterNotFound",
        "ParameterVersionNotFound",
    }
)
# How a launch template names an image by a parameter.
BY_PARAMETER: Final = "resolve:ssm:"


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


@dataclass(frozen=True)
class Asked:
    """What `--prices` and `--max-monthly-cost` say."""

    prices: Path | None = None
    most: float | None = None


def money(asked: Asked) -> Money | None:
    """The prices and the bound that were asked for.

    Raises:
        InputError: a bound without prices, or one below zero.
        Problems: the price file has errors.
    """
    prices, most = asked.prices, asked.most
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


def check(stack: StackSettings | UnsoundStack, asked: Asked) -> Checked:
    """Check a stack's file, its plan, its exceptions and its cost; nothing is started for it.

    Of a file with errors all that is sound is checked, and refused together with them.

    Raises:
        InputError: the only thing that is wrong is not in the stack's file.
        Problems: all that is wrong: what AWS, a quota, the database or the bound on costs stands
            against, the season's plan that does not hold, and the exceptions from controls.
    """
    settings = stack.sound if isinstance(stack, UnsoundStack) else stack
    try:
        moment = clock.now(settings.cloud)
    except Unsound:
        moment = clock.now("aws")
    examined = checks.examine(stack, moment)
    others = [*examined.others, *_why_no_plan(settings, examined)]
    wanted = None
    try:
        exceptions.read(moment.date(), settings.stack)
    except InputError as error:
        others.append(error)
    try:
        wanted = money(asked)
    except InputError as error:
        others.append(error)
    warnings, problems = list(examined.warnings), list(examined.problems)
    hours, cost = list[MonthlyHours](), None
    # A season that does not hold has no hours, and neither has a tier with errors.
    if not examined.others:
        with suppress(Unsound):
            hours = monthly_hours(settings, examined.plan)
            cost = wanted and monthly_cost(hours, wanted.table, settings)
    if wanted is not None:
        warnings += wanted.table.dated_after(clock.now("aws").date())
        if cost is not None and wanted.most is not None:
            problems += cost_problems(cost, wanted.most, str(wanted.file))
    if (problems or others) and (cloud := _within_reach(settings)):
        problems += _ask(cloud).problems
    replace(examined, problems=tuple(problems), others=tuple(others)).refuse()
    return Checked(warnings, hours, cost)


def _why_no_plan(settings: StackSettings, examined: Examined) -> list[InputError]:
    """What the season's next plan would be refused for, beside that there is none that holds."""
    missing = [error for error in examined.others if not isinstance(error, Problems)]
    if not missing or settings.season_file is None or not settings.season_file.is_file():
        return []
    try:
        planning.plan(
            planning.Source(settings.season_file, settings),
            start=None,
            end=None,
            hand_over=False,
            progress=lambda _: None,
        )
    except Unsound:
        return []
    except InputError as error:
        return [error] if str(error) not in {str(each) for each in missing} else []
    return []


@dataclass(frozen=True)
class Cloud:
    """A stack's cloud that can be asked: `client` makes boto3's, for a service and a Region."""

    settings: StackSettings
    client: Callable[[str, str], Any]
    local: bool


def check_cloud(stack: OpenStack) -> tuple[str, ...]:
    """Ask the stack's cloud about what the stack's file names and takes for granted; warnings.

    Raises:
        Problems: everything that the cloud says against it.
    """
    findings = _ask(Cloud(stack.settings, stack.client, stack.local is not None))
    _refuse(stack.settings, list(findings.problems))
    return findings.warnings


def _ask(cloud: Cloud) -> Findings:
    findings = Findings()
    for question in _QUESTIONS if cloud.local else (*_QUESTIONS, *_QUESTIONS_TO_AWS):
        with suppress(Unsound):
            findings += question(cloud)
    return findings


def _within_reach(settings: StackSettings) -> Cloud | None:
    """The cloud of a stack that is refused anyway, where it answers at once: nothing is started for
    it, and AWS is asked of an account that the stack may go to."""
    try:
        goes_to, region, accounts = settings.cloud, settings.region, settings.allowed_account_ids
    except Unsound:
        return None
    if goes_to == "local":
        from cli.localcloud import server

        local = server.running()
        return None if local is None else Cloud(settings, local.client, local=True)
    import boto3
    from botocore.config import Config
    from botocore.exceptions import BotoCoreError, ClientError

    quick = Config(connect_timeout=3, read_timeout=5, retries={"total_max_attempts": 1})

    def client(service: str, where: str) -> Any:
        return boto3.client(service, region_name=where, config=quick)  # pyright: ignore[reportCallIssue, reportArgumentType] (any service)

    try:
        account = client("sts", region).get_caller_identity()["Account"]
    except (BotoCoreError, ClientError):
        return None
    return Cloud(settings, client, local=False) if account in accounts else None


def _site_certificate(cloud: Cloud) -> Findings:
    arn = cloud.settings.platform.certificate_arn
    return _certificate(cloud, SITE_KEY, arn, cloud.settings.region)


def _edge_certificate(cloud: Cloud) -> Findings:
    edge = cloud.settings.platform.edge
    return _certificate(cloud, EDGE_KEY, edge and edge.certificate_arn, EDGE_REGION)


def _certificate(cloud: Cloud, key: str, arn: str | None, region: str) -> Findings:
    """What ACM says of a certificate that a stack names."""
    if arn is None:
        return Findings()
    found = described(cloud.client("acm", region), arn, key)
    if isinstance(found, Problem):
        return Findings((found,))
    if found["DomainName"] == SOMEBODYS_NAME:
        return Findings(
            warnings=(
                f"{key}: the local cloud takes {arn} as fit for the site; only AWS, whose "
                "account has it, says what it names and whether it is issued",
            )
        )
    # The local cloud's certificates end by the system's clock, as AWS's do.
    return check_described(Subject(cloud.settings), found, now=clock.now("aws"), key=key)


def _other_networks(cloud: Cloud) -> Findings:
    """Whether blocking public access would cut off somebody else's VPC."""
    from botocore.exceptions import BotoCoreError, ClientError

    settings, key = cloud.settings, "firstbell:platform/network/block_public_access"
    if settings.platform.network.block_public_access is not None:
        return Findings()
    try:
        others = other_networks(cloud.client("ec2", settings.region), settings.stack)
    except (BotoCoreError, ClientError) as error:
        return Findings(
            warnings=(
                f"{key}: EC2 does not say whether it would cut other VPCs off the internet: "
                f"{error}; allow ec2:DescribeInternetGateways, or write true or false",
            )
        )
    if not others:
        return Findings()
    what = f"is not given, and it would cut {', '.join(others)} off the internet"
    return Findings(
        (Problem(key, what, "write false where others share the account, true to cut them"),)
    )


def _images(cloud: Cloud) -> Findings:
    """What EC2 says of the images that the groups name; the default ones are known."""
    region, fleets = cloud.settings.region, cloud.settings.platform.fleets
    named = sound_figures(fleets, lambda fleet: fleet.image)
    given = {key: fleets[key] for key, image in named.items() if image is not None}
    if not given:
        return Findings()
    ec2, ssm = cloud.client("ec2", region), cloud.client("ssm", region)
    return images(ec2, ssm, given, everything_is_there=cloud.local)


def images(
    ec2: Any, ssm: Any, fleets: Mapping[str, FleetSettings], *, everything_is_there: bool = False
) -> Findings:
    """Whether the images of these groups are there and fit them. `ec2` and `ssm` are boto3's.

    With `everything_is_there`, as on the local cloud, one that nobody has made is taken as it is.
    """
    from botocore.exceptions import BotoCoreError, ClientError

    answers: dict[str, Any] = {}
    found = Findings()
    for key, fleet in fleets.items():
        where, name = f"{PLATFORM}/{key}/image", fleet.image_id
        try:
            if name not in answers:
                answers[name] = _described_image(ec2, ssm, name)
        except ClientError as error:
            if error.response.get("Error", {}).get("Code") not in NO_SUCH_IMAGE:
                found += _image_unknown(where, name, error)
            elif not everything_is_there:
                what = f"{name} is no image that this account has in the Region"
                fix = "correct it, or copy the image there (aws ec2 copy-image)"
                found += Findings((Problem(where, what, fix),))
        except BotoCoreError as error:
            found += _image_unknown(where, name, error)
        else:
            found += Findings(tuple(sound(problems_with_image(key, fleet, answers[name]))))
    return found


def _described_image(ec2: Any, ssm: Any, name: str) -> Mapping[str, Any]:
    """What EC2 says of an image, which may be a parameter of Systems Manager."""
    prefix, _, parameter = name.partition(BY_PARAMETER)
    image = prefix or ssm.get_parameter(Name=parameter)["Parameter"]["Value"]
    return ec2.describe_images(ImageIds=[image])["Images"][0]


def _image_unknown(where: str, name: str, error: Exception) -> Findings:
    return Findings(
        warnings=(
            f"{where}: AWS does not say what {name} is: {error}; allow ec2:DescribeImages and "
            "ssm:GetParameter, or see yourself that root_device, volume_gib and instance_types "
            "fit it",
        )
    )


def _zone(cloud: Cloud) -> Findings:
    dns = cloud.settings.platform.dns
    if dns is None:
        return Findings()
    return hosted_zone(cloud.client("route53", cloud.settings.region), dns)


def _quotas(cloud: Cloud) -> Findings:
    client = cloud.client("service-quotas", cloud.settings.region)
    return account_quotas(client, Subject(cloud.settings))


_QUESTIONS: Final = (_zone, _site_certificate, _edge_certificate, _images)
_QUESTIONS_TO_AWS: Final = (_other_networks, _quotas)


def hosted_zone(client: Any, dns: DnsSettings) -> Findings:
    """Whether the zone that a stack names is there, is the one, and is public.

    `client` is boto3's for `route53`.
    """
    from botocore.exceptions import BotoCoreError, ClientError

    try:
        zones: list[dict[str, Any]] = client.list_hosted_zones_by_name(DNSName=dns.zone)[
            "HostedZones"
        ]
        of_name = [
            zone["Id"].rpartition("/")[2]
            for zone in zones
            if zone["Name"] == f"{dns.zone}." and not zone["Config"]["PrivateZone"]
        ]
        if dns.zone_id in of_name:
            return Findings()
        try:
            found = client.get_hosted_zone(Id=dns.zone_id)["HostedZone"]
        except client.exceptions.NoSuchHostedZone:
            found = None
    except (BotoCoreError, ClientError) as error:
        return Findings(
            warnings=(
                f"{DNS_KEY}: Route 53 does not say whether {dns.zone_id} is the zone {dns.zone}: "
                f"{error}; allow route53:ListHostedZonesByName and route53:GetHostedZone",
            )
        )
    if found is not None and found["Name"] == SOMEBODYS_ZONE and not of_name:
        return Findings()  # on the local cloud, every zone that nobody made is there
    return zone_findings(dns, found, of_name)


def account_quotas(client: Any, subject: Subject) -> Findings:
    """Whether the account has what its quotas must hold, where the stack's file does not say.

    `client` is boto3's for `service-quotas`.
    """
    from botocore.exceptions import BotoCoreError, ClientError

    found = Findings()
    for demand in of_account(subject):
        quota = demand.quota
        try:
            answer = client.get_service_quota(ServiceCode=quota.service, QuotaCode=quota.code)
        except (BotoCoreError, ClientError) as error:
            found += Findings(
                warnings=(
                    f"{demand.what}, and the account does not say what its quota {quota.name!r} "
                    f"is: {error}; allow servicequotas:GetServiceQuota, or write "
                    f"{demand.statement} once you know that it is enough ({demand.request})",
                )
            )
            continue
        allowed = int(answer["Quota"]["Value"])
        if demand.needed > allowed:
            found += Findings((demand.exceeds(allowed, "this account's"),))
    return found


def other_networks(client: Any, stack: str) -> list[str]:
    """VPCs with an internet gateway that are not the stack's. `client` is boto3's for `ec2`."""
    return sorted(
        attachment["VpcId"]
        for page in client.get_paginator("describe_internet_gateways").paginate()
        for gateway in page["InternetGateways"]
        if {"Key": "stack", "Value": stack} not in gateway.get("Tags", [])
        for attachment in gateway["Attachments"]
    )


def described(client: Any, arn: str, key: str = SITE_KEY) -> Mapping[str, Any] | Problem:
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
