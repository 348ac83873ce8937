"""Bad input: exit 2, what is wrong and where, and nothing is changed."""

from __future__ import annotations

import json
import socket
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from cli.localcloud import server
from tests.e2e.conftest import SEASON, STACK, Firstbell


def contents(folder: Path) -> dict[str, bytes]:
    return {str(path): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def refused(firstbell: Firstbell, *command: str) -> str:
    """Run a command that must be refused; returns what it said."""
    before = contents(firstbell.stacks)
    finished = firstbell(*command, code=2)
    assert contents(firstbell.stacks) == before
    assert server.running() is None, "nothing was even started"
    return finished.stderr


def edit(path: Path, old: str, new: str) -> None:
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new))


SEASONS: list[tuple[str, str, str]] = [
    ("boot: 4m}", "boot: 4m, min: 9, max: 3}", "min 9"),
    ("to: 2026-12-18}]", "to: 2026-08-01}]", "before it starts"),
    (
        "terms: [{name: autumn, from: 2026-08-17, to: 2026-12-18}]",
        "terms: [{name: autumn, from: 2026-08-17, to: 2026-12-18}, "
        "{name: second, from: 2026-12-01, to: 2026-12-19}]",
        "second starts on 2026-12-01, before autumn ends",
    ),
    ("timezone: Europe/Stockholm", "timezone: Europe/Stokholm", "Europe/Stockholm"),
    ("holidays: {country: SE}", "holidays: {country: QQ}", "QQ"),
    ("{from: 2026-08-10, to: 2026-12-20}", "{from: 2126-08-10, to: 2126-12-20}", "2126"),
    ("users: 100000", "usres: 100000", "did you mean 'users'"),
    (
        'days: school, at: "08:10", logins: 20000, over: 20m',
        'days: school, at: "08:10", logins: 20000, over: 20m, from: 2026-12-19, to: 2026-12-20',
        "first bell",
    ),
]


@pytest.mark.parametrize(("old", "new", "complaint"), SEASONS)
def test_a_wrong_season_is_refused_by_plan_and_by_preview(
    firstbell: Firstbell, old: str, new: str, complaint: str
) -> None:
    edit(firstbell.stacks / "seasons" / "autumn.yaml", old, new)
    said = refused(firstbell, "season", "plan", "-s", "autumn")
    assert complaint in said
    assert "autumn.yaml" in said


STACKS: list[tuple[str, str, str]] = [
    ("min: 2, max: 60", "min: 61, max: 60", "min 61 is greater than max 60"),
    ("nat: single", "cidr: 10.0.0.0/26", "too small"),
    ("min: 2, max: 60", "instance_types: [m7i.huge]", "m7i.huge"),
    ("network:", "netwrok:", "did you mean 'network'"),
    (
        "aws:region: eu-north-1",
        "aws:region: eu-north-1\n  firstbell:cloud: aws",
        "allowedAccountIds",
    ),
    (
        "aws:region: eu-north-1",
        "aws:region: eu-north-1\n  aws:endpoints: [{ec2: http://10.0.0.1}]",
        "not a loopback address",
    ),
    ("seasons/autumn.yaml", "seasons/autunm.yaml", "does not exist"),
    (
        "{min: 2, max: 60}",
        "{min: 2, max: 60, workers_per_instance: 100}",
        "connections, and aurora-postgresql on db.r6g.large",
    ),
    ("max: 60}", "max: 60, connections_per_worker: -1}", "greater than or equal to 0, not -1"),
    ("replicas: {min: 1", "connection_margin: -1, replicas: {min: 1", "to 0, not -1"),
    (
        "network: {nat: single}",
        "quotas: {standard_vcpus: 143}",
        "--quota-code L-1216C47A --desired-value 144",
    ),
    ("network: {nat: single}", "quotas: {standard_vcpu: 9}", "did you mean 'standard_vcpus'"),
    ("network: {nat: single}", "network: {cidr: 10.0.0.0/24}", "30 are needed at the peak"),
]


@pytest.mark.parametrize(("old", "new", "complaint"), STACKS)
@pytest.mark.parametrize("command", ["preview", "up"])
def test_a_wrong_stack_is_refused(
    firstbell: Firstbell, old: str, new: str, complaint: str, command: str
) -> None:
    firstbell("season", "plan", "-s", "autumn")
    edit(firstbell.stacks / "Pulumi.autumn.yaml", old, new)
    assert complaint in refused(firstbell, command, "-s", "autumn")


@pytest.mark.parametrize("command", ["preview", "up"])
def test_an_exception_without_expiry_is_refused_before_anything_is_started(
    firstbell: Firstbell, command: str
) -> None:
    firstbell("season", "plan", "-s", "autumn")
    (firstbell.stacks / "exceptions.yaml").write_text(
        "version: 1\nexceptions: [{control: ELB.6, owner: ops, reason: the demo is removed}]\n"
    )
    said = refused(firstbell, command, "-s", "autumn")
    assert "stacks/exceptions.yaml" in said
    assert "exceptions/1/expires: is missing" in said


def test_everything_that_is_wrong_is_told_at_once(firstbell: Firstbell) -> None:
    """File, checks, season, exceptions and costs, although nothing of them is right."""
    file = firstbell.stacks / "Pulumi.autumn.yaml"
    edit(file, "min: 2, max: 60", "mni: 2, max: 900")
    edit(file, "nat: single", "zones: 7")
    (firstbell.stacks / "exceptions.yaml").write_text(
        "version: 1\nexceptions: [{control: ELB.6, owner: ops, reason: the demo is removed}]\n"
    )
    said = refused(firstbell, "preview", "-s", "autumn", "--max-monthly-cost", "-1")
    for complaint in (
        "tiers/web/mni: unknown key 'mni' (did you mean 'min'?)",
        "network/zones: input should be less than or equal to 3, not 7 (write 3 or less)",
        "tiers/web/max: 900 instances x 12 workers",
        "autumn.plan.json: the season has no plan yet (run firstbell season plan -s autumn)",
        "stacks/exceptions.yaml: exceptions/1/expires: is missing",
        "--max-monthly-cost: -1 cannot be compared with anything",
    ):
        assert complaint in said


def test_an_unknown_stack_is_refused_with_the_nearest(firstbell: Firstbell) -> None:
    assert "did you mean -s autumn?" in refused(firstbell, "up", "-s", "autum")


def test_a_season_without_a_plan_is_refused_with_the_command(firstbell: Firstbell) -> None:
    assert "firstbell season plan -s autumn" in refused(firstbell, "preview", "-s", "autumn")


def longer_day(stacks: Path) -> None:
    edit(stacks / "seasons" / "autumn.yaml", '"16:00": 0.5', '"17:00": 0.5')


def another_bound(stacks: Path) -> None:
    edit(stacks / "Pulumi.autumn.yaml", "max: 60", "max: 61")


@pytest.mark.parametrize("change", [longer_day, another_bound])
def test_a_stale_plan_is_refused(firstbell: Firstbell, change: Callable[[Path], None]) -> None:
    firstbell("season", "plan", "-s", "autumn")
    change(firstbell.stacks)
    said = refused(firstbell, "up", "-s", "autumn")
    assert "stale" in said
    assert "run firstbell season plan -s autumn" in said


def test_a_plan_edited_by_hand_is_refused(firstbell: Firstbell) -> None:
    firstbell("season", "plan", "-s", "autumn")
    path = firstbell.stacks / "seasons" / "autumn.plan.json"
    plan = json.loads(path.read_text())
    plan["targets"]["web"]["actions"][0]["MinSize"] += 1
    path.write_text(json.dumps(plan))
    assert "edited by hand" in refused(firstbell, "up", "-s", "autumn")


def test_a_season_that_names_what_the_stack_lacks_is_refused(firstbell: Firstbell) -> None:
    file = firstbell.stacks / "seasons" / "autumn.yaml"
    edit(file, "\n  web:", "\n  wbe:")
    edit(file, "database: {kind: aurora-replicas", "database: {kind: autoscaling-group")
    for command in (["preview"], ["season", "plan"]):
        said = refused(firstbell, *command, "-s", "autumn")
        assert "capacity/wbe: the stack autumn has nothing of that name" in said
        assert "did you mean 'web'" in said
        assert "capacity/database/kind: autoscaling-group is not what a stack has there" in said
        assert "write aurora-replicas" in said


def test_an_endpoint_that_is_not_loopback_is_refused(firstbell: Firstbell) -> None:
    firstbell("season", "plan", "-s", "autumn")
    firstbell.environment["AWS_ENDPOINT_URL"] = "https://autoscaling.eu-north-1.amazonaws.com"
    assert "not a loopback address" in refused(firstbell, "up", "-s", "autumn")


@pytest.mark.parametrize(
    ("environment", "said"),
    [
        ({"AWS_CONFIG_FILE": "none"}, "AWS does not know who you are: Unable to locate"),
        ({"AWS_ACCESS_KEY_ID": "none"}, "AWS does not know who you are: Partial credentials"),
        (
            {"AWS_ACCESS_KEY_ID": "none", "AWS_SECRET_ACCESS_KEY": "none"},
            "AWS cannot be reached: Could not connect",
        ),
    ],
)
def test_who_is_not_signed_in_is_told_from_who_has_no_network(
    firstbell: Firstbell, environment: dict[str, str], said: str
) -> None:
    arn = "arn:aws:acm:eu-north-1:123456789012:certificate/none"
    (firstbell.stacks / "Pulumi.autumn.yaml").write_text(ON_AWS.format(arn=arn))
    firstbell.environment |= {
        "AWS_ENDPOINT_URL": "http://127.0.0.1:9",  # nobody listens there
        "AWS_EC2_METADATA_DISABLED": "true",
        "AWS_MAX_ATTEMPTS": "1",
    }
    firstbell.environment |= environment
    answer = refused(firstbell, "preview", "-s", "autumn")
    assert said in answer
    assert "--cloud local" in answer


def test_credentials_of_another_account_are_refused_and_those_allowed_are_shown(
    firstbell: Firstbell,
) -> None:
    """The local cloud plays AWS here: its account is 123456789012."""
    firstbell("season", "plan", "-s", "autumn")
    edit(
        firstbell.stacks / "Pulumi.autumn.yaml",
        "aws:region: eu-north-1",
        "aws:region: eu-north-1\n  firstbell:cloud: aws\n  aws:allowedAccountIds: ['999999999999']",
    )
    edit(
        firstbell.stacks / "Pulumi.autumn.yaml",
        "domain: lms.example.org",
        "domain: lms.example.org\n"
        "    certificate_arn: arn:aws:acm:eu-north-1:999999999999:certificate/none",
    )
    edit(
        firstbell.stacks / "Pulumi.autumn.yaml",
        "web: {min: 2",
        "web: {image: ami-0123456789abcdef0, min: 2",
    )
    play_aws(firstbell)
    said = firstbell("up", "-s", "autumn", "--yes", code=2).stderr
    assert "123456789012" in said
    assert "999999999999" in said
    edit(
        firstbell.stacks / "Pulumi.autumn.yaml",
        "['999999999999']",
        "['999999999999', '123456789012']",
    )
    firstbell.environment["PULUMI_BACKEND_URL"] = f"file://{firstbell.stacks}"
    arn = issued(firstbell, "lms.example.org")
    edit(
        firstbell.stacks / "Pulumi.autumn.yaml",
        "arn:aws:acm:eu-north-1:999999999999:certificate/none",
        arn,
    )
    said = firstbell("up", "-s", "autumn", "--yes", code=2).stderr
    assert "web/image: ami-0123456789abcdef0 is no image that this account has" in said
    # The emulator gives every image the root disk that Ubuntu's have.
    image = firstbell.client("ec2").register_image(Name="lms", RootDeviceName="/dev/sda1")
    edit(
        firstbell.stacks / "Pulumi.autumn.yaml",
        "ami-0123456789abcdef0",
        f"{image['ImageId']}, root_device: /dev/sda1",
    )
    said = firstbell("up", "-s", "autumn", code=130).stderr
    assert "goes to AWS account 123456789012, Region eu-north-1" in said
    assert "nothing was changed; where nobody can answer, add --yes" in said


def play_aws(firstbell: Firstbell) -> None:
    """Let the local cloud play AWS."""
    cloud = server.ensure_started()
    firstbell.environment |= {
        "AWS_ENDPOINT_URL": cloud.endpoint,
        "AWS_ACCESS_KEY_ID": "none",
        "AWS_SECRET_ACCESS_KEY": "none",
    }


def issued(firstbell: Firstbell, *names: str) -> str:
    """The ARN of an issued certificate for these names."""
    first, *others = names
    acm = firstbell.client("acm")
    arn = acm.request_certificate(
        DomainName=first, ValidationMethod="DNS", SubjectAlternativeNames=others or [first]
    )["CertificateArn"]
    status = ""
    deadline = time.monotonic() + 90
    while status != "ISSUED" and time.monotonic() < deadline:
        status = acm.describe_certificate(CertificateArn=arn)["Certificate"]["Status"]
        time.sleep(0.5)
    assert status == "ISSUED"
    return arn


def test_a_certificate_for_another_domain_or_none_at_all_is_refused(firstbell: Firstbell) -> None:
    play_aws(firstbell)
    file = firstbell.stacks / "Pulumi.autumn.yaml"
    file.write_text(ON_AWS.format(arn=issued(firstbell, "lms.example.com")))
    firstbell.environment["PULUMI_BACKEND_URL"] = f"file://{firstbell.stacks}"
    said = firstbell("preview", "-s", "autumn", code=2).stderr
    assert "firstbell:platform/certificate_arn: is for lms.example.com, not for lms" in said
    file.write_text(file.read_text() + "    netwrok: {}\n    quotas: {elastic_ips: 1}\n")
    said = firstbell("preview", "-s", "autumn", code=2).stderr
    assert "firstbell:platform/certificate_arn: is for lms.example.com, not for lms" in said
    assert "did you mean 'network'?" in said
    file.write_text(ON_AWS.format(arn="arn:aws:acm:eu-north-1:123456789012:certificate/none"))
    said = firstbell("preview", "-s", "autumn", code=2).stderr
    assert "ACM does not show arn:aws:acm:eu-north-1:123456789012:certificate/none" in said
    assert "acm:DescribeCertificate" in said


@pytest.mark.parametrize(
    ("options", "complaint"),
    [
        (["--yes"], "add --confirm autumn"),
        (["--confirm", "autum"], "'autum' is not the stack's name; nothing was deleted"),
        (["--yes", "--confirm", "other"], "'other' is not the stack's name"),
    ],
)
def test_a_stack_on_aws_is_destroyed_only_by_its_name(
    firstbell: Firstbell, options: list[str], complaint: str
) -> None:
    play_aws(firstbell)
    arn = "arn:aws:acm:eu-north-1:123456789012:certificate/none"
    (firstbell.stacks / "Pulumi.autumn.yaml").write_text(ON_AWS.format(arn=arn))
    firstbell.environment["PULUMI_BACKEND_URL"] = f"file://{firstbell.stacks}"
    assert complaint in firstbell("destroy", "-s", "autumn", *options, code=2).stderr


PRICES = """
version: 1
currency: EUR
prices:
  - {region: eu-north-1, item: m7i.large, per_hour: 0.1, source: a test, date: 2026-07-01}
"""


@pytest.mark.parametrize("command", ["preview", "up"])
@pytest.mark.parametrize(
    ("options", "complaints"),
    [
        (["--max-monthly-cost", "100"], ["--max-monthly-cost: 100", "add --prices FILE"]),
        (["--prices", "PRICES", "--max-monthly-cost", "-1"], ["must be zero or more, not -1"]),
        (["--prices", "PRICES", "--max-monthly-cost", "nan"], ["must be zero or more, not nan"]),
        (["--prices", "nowhere.yaml"], ["nowhere.yaml"]),
        (
            ["--prices", "PRICES", "--max-monthly-cost", "1"],
            ["has no price for db.r6g.large", "the busiest month costs"],
        ),
    ],
)
def test_a_bound_on_costs_that_does_not_hold_or_makes_no_sense_is_refused(
    firstbell: Firstbell, tmp_path: Path, command: str, options: list[str], complaints: list[str]
) -> None:
    firstbell("season", "plan", "-s", "autumn")
    prices = tmp_path / "prices.yaml"
    prices.write_text(PRICES)
    given = [str(prices) if option == "PRICES" else option for option in options]
    said = refused(firstbell, command, "-s", "autumn", *given)
    assert all(complaint in said for complaint in complaints)


ON_AWS = """
config:
  aws:region: eu-north-1
  aws:allowedAccountIds: ["123456789012"]
  firstbell:cloud: aws
  firstbell:platform:
    domain: lms.example.org
    certificate_arn: {arn}
    tiers: {{web: {{image: ami-0123456789abcdef0}}}}
"""


def test_a_port_that_is_taken_is_refused(firstbell: Firstbell) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        said = refused(firstbell, "local", "start", "--port", str(taken.getsockname()[1]))
    assert "--port" in said


def test_the_builders_are_right(firstbell: Firstbell) -> None:
    """Every case above differs from these two files in one place."""
    assert yaml_of(STACK)["config"]["firstbell:season"] == "seasons/autumn.yaml"
    assert yaml_of(SEASON)["version"] == 1
    firstbell("season", "plan", "-s", "autumn")


def yaml_of(text: str) -> dict[str, dict[str, str]]:
    import yaml

    return yaml.safe_load(text)
