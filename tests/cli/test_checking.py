"""What the stack's cloud is asked before anything is changed: zones, and the account's quotas."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import boto3
import pytest
from botocore.stub import Stubber

from cli.checking import Asked, account_quotas, check, check_cloud, hosted_zone, images
from cli.engine import Engine
from cli.localcloud import server
from cli.localcloud.provider.aws import AwsError, Cloud
from cli.localcloud.server import LocalCloud
from cli.stack import OpenStack
from infra.checks import Subject
from infra.errors import InputError, Problems
from infra.settings.dns import DnsSettings
from infra.settings.names import SITE_KEY
from infra.settings.stack import StackSettings, UnsoundStack, read_stack
from tests.conftest import WriteStack
from tests.infra.checks.builders import settings

KEY = "firstbell:platform/dns/zone_id"


REGION = "eu-north-1"


@pytest.fixture
def local(home: Path) -> Iterator[LocalCloud]:
    assert home
    try:
        yield server.ensure_started()
    finally:
        server.stop()


@pytest.fixture
def route53(local: LocalCloud) -> Any:
    return local.client("route53", REGION)


def make(client: Any, name: str, **more: Any) -> str:
    zone = client.create_hosted_zone(Name=name, CallerReference=f"{name}{more}", **more)
    return zone["HostedZone"]["Id"].rpartition("/")[2]


def dns(zone_id: str) -> DnsSettings:
    return DnsSettings(zone="example.org", zone_id=zone_id, records=True)


def told(client: Any, zone_id: str) -> list[str]:
    """What is wrong with that zone for example.org."""
    found = hosted_zone(client, dns(zone_id))
    assert {problem.where for problem in found.problems} <= {KEY}
    return [str(problem) for problem in found.problems]


def test_the_local_cloud_is_asked_for_the_zone(route53: Any) -> None:
    assert told(route53, "Z0123456789") == [], "somebody else's, as long as nobody made one"
    private = make(
        route53,
        "example.org",
        VPC={"VPCRegion": "eu-north-1", "VPCId": "vpc-0123456789abcdef0"},
        HostedZoneConfig={"Comment": "", "PrivateZone": True},
    )
    assert "a private zone" in told(route53, private)[0]
    other = make(route53, "example.net")
    (text,) = told(route53, other)
    assert f"{other} is the zone example.net. and not example.org" in text
    assert "aws route53 create-hosted-zone --name example.org" in text
    right = make(route53, "example.org")
    assert told(route53, right) == []
    assert f"write {right}, which is example.org" in told(route53, other)[0]
    assert f"write {right}, which is example.org" in told(route53, "Z0123456789")[0]


def test_a_zone_that_aws_does_not_have_is_told_at_preview() -> None:
    client = boto3.client("route53", region_name="eu-north-1")
    with Stubber(client) as answers:
        answers.add_response(
            "list_hosted_zones_by_name",
            {"HostedZones": [], "IsTruncated": False, "MaxItems": "100"},
        )
        answers.add_client_error("get_hosted_zone", "NoSuchHostedZone", "none")
        (text,) = told(client, "Z0123456789")
    assert text.startswith(f"{KEY}: Z0123456789 is no hosted zone of this account")
    assert "aws route53 create-hosted-zone --name example.org" in text


def test_a_route_53_that_does_not_answer_is_a_warning() -> None:
    client = boto3.client("route53", region_name="eu-north-1")
    with Stubber(client) as answers:
        answers.add_client_error("list_hosted_zones_by_name", "AccessDenied", "not yours")
        found = hosted_zone(client, dns("Z0123456789"))
    assert found.problems == ()
    assert "route53:ListHostedZonesByName" in found.warnings[0]


def test_an_image_that_does_not_fit_its_group_is_told_at_preview(local: LocalCloud) -> None:
    ec2, ssm = local.client("ec2", REGION), local.client("ssm", REGION)
    made = ec2.register_image(Name="ours", RootDeviceName="/dev/sda1")["ImageId"]
    ssm.put_parameter(Name="/ours/latest", Value=made, Type="String")

    def told(image: str, root: str, *, local: bool = False) -> list[str]:
        tier = {"image": image, "root_device": root}
        fleets = settings(tiers={"web": tier}).platform.fleets
        found = images(ec2, ssm, fleets, everything_is_there=local)
        assert found.warnings == ()
        return [str(problem) for problem in found.problems]

    for image in (made, "resolve:ssm:/ours/latest"):
        assert told(image, "/dev/sda1") == []
        (text,) = told(image, "/dev/xvda")
        assert "tiers/web/root_device" in text
        assert "write root_device: /dev/sda1" in text
    for image in ("ami-0123456789abcdef0", "resolve:ssm:/ours/latst"):
        (text,) = told(image, "/dev/xvda")
        assert f"tiers/web/image: {image} is no image that this account has" in text
        assert told(image, "/dev/xvda", local=True) == [], "it stands for one of AWS's"


def test_an_image_that_aws_does_not_tell_of_is_a_warning() -> None:
    client = boto3.client("ec2", region_name=REGION)
    fleets = settings(tiers={"web": {"image": "ami-0123456789abcdef0"}}).platform.fleets
    with Stubber(client) as answers:
        answers.add_client_error("describe_images", "UnauthorizedOperation", "not yours")
        found = images(client, None, fleets)
    assert found.problems == ()
    assert "allow ec2:DescribeImages" in found.warnings[0]


def test_the_local_cloud_is_asked_for_the_certificate_as_aws_is(
    local: LocalCloud, tmp_path: Path
) -> None:
    def asked(arn: str) -> tuple[str, ...]:
        engine = Engine(tmp_path, "3.0.0", "not used")
        return check_cloud(OpenStack(settings(certificate_arn=arn), engine, local, tmp_path, {}))

    def refused(arn: str) -> str:
        with pytest.raises(Problems) as caught:
            asked(arn)
        (problem,) = caught.value.problems
        assert problem.where == SITE_KEY
        return problem.what

    acm = local.client("acm", REGION)
    ours, other = (
        acm.request_certificate(DomainName=name, ValidationMethod="DNS")["CertificateArn"]
        for name in ("*.example.org", "lms.example.com")
    )
    assert asked(ours) == ()
    assert "is for lms.example.com, not for lms.example.org" in refused(other)
    none = f"{ours.rpartition('/')[0]}/none"
    assert f"ACM does not show {none}" in refused(none)
    elsewhere = "arn:aws:acm:eu-north-1:111122223333:certificate/theirs"
    assert elsewhere.split(":")[4] != ours.split(":")[4]
    (warning,) = asked(elsewhere)
    assert f"the local cloud takes {elsewhere} as fit for the site" in warning
    assert asked(elsewhere) == (warning,), "it is still somebody else's"


def test_what_is_wrong_with_a_file_hides_no_certificate_for_another_domain(
    local: LocalCloud, write_stack: WriteStack
) -> None:
    """The local cloud is asked because it runs; it would not be started for it."""
    acm = local.client("acm", REGION)
    other = acm.request_certificate(DomainName="lms.example.com", ValidationMethod="DNS")
    right = acm.request_certificate(DomainName="lms.example.org", ValidationMethod="DNS")

    def told(certificate: str, **more: Any) -> list[str]:
        platform = {"domain": "lms.example.org", "certificate_arn": certificate} | more
        write_stack(**{"firstbell:platform": platform})
        stack: StackSettings | UnsoundStack
        try:
            stack = read_stack("tiny")
        except UnsoundStack as error:
            stack = error
        with pytest.raises(Problems) as caught:
            check(stack, Asked())
        return [problem.where.rpartition("/")[2] for problem in caught.value.problems]

    for more, key in (({"backup": {"hour": 24}}, "hour"), ({"quotas": {"elastic_ips": 1}}, "nat")):
        assert told(other["CertificateArn"], **more) == [key, "certificate_arn"]
        assert told(right["CertificateArn"], **more) == [key]
    assert told(other["CertificateArn"], domain=5) == ["domain"], "nobody knows for what"


def test_a_stack_with_a_certificate_of_another_account_can_be_tried_on_the_local_cloud(
    local: LocalCloud,
) -> None:
    cloud = Cloud(local.endpoint, REGION)
    zones = cloud.call("ec2", "describe_subnets")["Subnets"]
    gateway = cloud.call("ec2", "create_internet_gateway")["InternetGateway"]
    cloud.call(
        "ec2",
        "attach_internet_gateway",
        InternetGatewayId=gateway["InternetGatewayId"],
        VpcId=zones[0]["VpcId"],
    )
    (balancer,) = cloud.call(
        "elbv2", "create_load_balancer", Name="b", Subnets=[zone["SubnetId"] for zone in zones]
    )["LoadBalancers"]

    def listener(certificate: str, port: int) -> None:
        cloud.call(
            "elbv2",
            "create_listener",
            LoadBalancerArn=balancer["LoadBalancerArn"],
            Port=port,
            Protocol="HTTPS",
            Certificates=[{"CertificateArn": certificate}],
            DefaultActions=[
                {"Type": "fixed-response", "FixedResponseConfig": {"StatusCode": "404"}}
            ],
        )

    listener("arn:aws:acm:eu-north-1:111122223333:certificate/theirs", 443)
    for nowhere in (
        f"arn:aws:acm:eu-north-1:{cloud.account}:certificate/none",
        "arn:aws:acm:eu-west-1:111122223333:certificate/theirs",
    ):
        with pytest.raises(AwsError, match="CertificateNotFound"):
            listener(nowhere, 8443)


def on_aws(**platform: Any) -> Subject:
    config = {"firstbell:cloud": "aws", "aws:allowedAccountIds": ["111122223333"]}
    tier = {"max": 40, "image": "ami-0123456789abcdef0"}
    certificate = "arn:aws:acm:eu-north-1:111122223333:certificate/1"
    return Subject(
        settings(config, **{"certificate_arn": certificate, "tiers": {"web": tier}} | platform)
    )


def asked(subject: Subject, granted: float | None) -> tuple[list[str], tuple[str, ...]]:
    """Problems and warnings, from an account that has so many standard vCPUs."""
    client = boto3.client("service-quotas", region_name="eu-north-1")
    with Stubber(client) as answers:
        if granted is None:
            answers.add_client_error("get_service_quota", "AccessDeniedException", "no")
        else:
            answers.add_response(
                "get_service_quota",
                {"Quota": {"Value": granted}},
                {"ServiceCode": "ec2", "QuotaCode": "L-1216C47A"},
            )
        found = account_quotas(client, subject)
    return [str(problem) for problem in found.problems], found.warnings


def test_on_aws_the_account_says_what_it_has_of_each_family() -> None:
    # 40 m7i.large, the 4 that come before others go and those 4 have 96 vCPUs.
    assert asked(on_aws(), 96.0) == ([], ())
    ((problem,), _) = asked(on_aws(), 95.0)
    assert problem.startswith("firstbell:platform/tiers/web/max: the largest fleet has 96 vCPUs")
    assert "is 95 (this account's)" in problem
    assert "--quota-code L-1216C47A --desired-value 96 --region eu-north-1" in problem
    problems, (warning,) = asked(on_aws(), None)
    assert problems == []
    assert "allow servicequotas:GetServiceQuota" in warning


def test_what_the_stack_states_is_not_asked_for() -> None:
    client = boto3.client("service-quotas", region_name="eu-north-1")
    with Stubber(client):  # refuses every call
        found = account_quotas(client, on_aws(quotas={"standard_vcpus": 96}))
    assert (found.problems, found.warnings) == ((), ())


def test_a_season_that_is_missing_hides_no_other_error(write_stack: WriteStack) -> None:
    write_stack(
        **{
            "firstbell:season": "seasons/none.yaml",
            "firstbell:platform": {"domain": "lms.example.org", "quotas": {"elastic_ips": 1}},
        }
    )
    with pytest.raises(Problems) as caught:
        check(read_stack("tiny"), Asked())
    quota, season = caught.value.problems
    assert quota.where == "firstbell:platform/network/nat"
    assert season.where == "stacks/Pulumi.tiny.yaml: firstbell:season"
    assert "none.yaml does not exist" in season.what
    write_stack(**{"firstbell:season": "seasons/none.yaml"})
    with pytest.raises(InputError, match=r"none\.yaml does not exist"):
        check(read_stack("tiny"), Asked())


SEASON = """
version: 1
timezone: Europe/Stockholm
horizon: {from: 2026-08-10, to: 2026-08-30}
markets: [{name: sweden, users: 20000, terms: [{from: 2026-08-17, to: 2026-08-30}]}]
demand: {profiles: {school: {"00:00": 1, "08:00": 60, "16:00": 2}, weekend: {"00:00": 1}}}
capacity:
  web: {kind: autoscaling-group, requests_per_second: 20, boot: 4m}
  staging: {kind: autoscaling-group, against: [web], units: 900}
limits: {instances: {max: 900, targets: [web, staging]}}
"""
EXCEPTIONS = """
version: 1
exceptions:
  - {control: ELB.6, owner: ops, reason: the demo is removed}
  - {control: ELB.6, owner: ops, reason: the demo is removed, expires: 2020-01-01}
"""


def everything(write_stack: WriteStack, stacks: Path, asked: Asked, **platform: Any) -> list[str]:
    """What is said of a stack with a season and exceptions."""
    (stacks / "season.yaml").write_text(SEASON)
    (stacks / "exceptions.yaml").write_text(EXCEPTIONS)
    write_stack(
        **{
            "firstbell:season": "season.yaml",
            "firstbell:platform": {"domain": "lms.example.org"} | platform,
        }
    )
    stack: StackSettings | UnsoundStack
    try:
        stack = read_stack("tiny")
    except UnsoundStack as error:
        stack = error
    with pytest.raises(Problems) as caught:
        check(stack, asked)
    return [str(problem) for problem in caught.value.problems]


@pytest.mark.parametrize("unsound", [{}, {"backup": {"hour": "two"}}])
def test_stack_season_exceptions_and_costs_are_told_together(
    write_stack: WriteStack, stacks: Path, home: Path, unsound: dict[str, Any]
) -> None:
    """One error in any of them hides none of the others, nor that the next plan cannot be made."""
    assert home
    asked = Asked(stacks / "no-prices.yaml", 100)
    tiers = {"web": {"max": 300}, "staging": {"hosts": ["s.example.org"], "max": 900}}
    found = everything(write_stack, stacks, asked, tiers=tiers, **unsound)
    expected = [
        "platform/backup/hour: input should be a valid integer",
        "tiers/staging/max: 900 instances x 12 workers",
        "tiers/staging/max: the tiers have",
        "season.plan.json: the season has no plan yet",
        "capacity/staging/units: 900 units are more than web ever give back",
        "exceptions.yaml: exceptions/1/expires: is missing",
        "exceptions.yaml: exceptions/2/expires: the exception for ELB.6 on * has expired",
        "no-prices.yaml: there is no such file",
    ][not unsound :]
    for text in expected:
        assert any(text in each for each in found), (text, found)


def test_where_a_tier_is_unsound_its_plan_is_not_judged(
    write_stack: WriteStack, stacks: Path, home: Path
) -> None:
    assert home
    tiers = {"web": {"max": "many"}, "staging": {"hosts": ["s.example.org"], "max": 900}}
    found = everything(write_stack, stacks, Asked(most=-1.0), tiers=tiers)
    assert [text for text in found if "units" in text] == []
    assert any("platform/tiers/web/max" in text for text in found)
    assert any("season has no plan yet" in text for text in found)
    assert any("--max-monthly-cost" in text for text in found)
