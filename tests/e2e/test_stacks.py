"""The stacks that tell a story: each document's commands in their order, on the local cloud.

A stack lives once in a test: planned, applied, looked at where the story has its point, drifted,
repaired and destroyed.
"""

from __future__ import annotations

import json
import math
import re
import shlex
import shutil
from collections.abc import Callable, Collection, Generator, Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import jmespath
import pytest

from cli.localcloud import server
from infra.origin_key import HEADER
from infra.paths import PROJECT_ROOT
from infra.season.compile import LOAD_BALANCER
from tests.e2e.conftest import Firstbell
from tests.evaluator import evaluate, find_excess, required_units

Check = Callable[[Firstbell], None]


@pytest.fixture
def committed(stacks: Path, home: Path, monkeypatch: pytest.MonkeyPatch) -> Generator[Firstbell]:
    """A copy of the project's stacks, where nobody has planned or applied anything."""
    shutil.copytree(PROJECT_ROOT / "stacks", stacks, dirs_exist_ok=True)
    monkeypatch.chdir(stacks.parent)
    yield Firstbell(stacks, home)
    server.stop()


def commands(name: str) -> list[str]:
    text = (PROJECT_ROOT / "docs" / "stacks" / f"{name}.md").read_text()
    blocks = re.findall(r"^```sh\n(.*?)^```", text, re.MULTILINE | re.DOTALL)
    return [line.strip() for block in blocks for line in block.splitlines() if line.strip()]


def live(firstbell: Firstbell, name: str, after: Mapping[str, Check]) -> None:
    """Run every command of a stack's document, and what is to be looked at after some of them."""
    shown = commands(name)
    assert set(after) <= set(shown), "a check stands after a command that nobody runs"
    for command in shown:
        program, *arguments = shlex.split(command)
        assert program == "firstbell"
        firstbell(*arguments)
        if check := after.get(command):
            check(firstbell)


def group(firstbell: Firstbell, name: str) -> dict[str, Any]:
    groups = firstbell.client("autoscaling").describe_auto_scaling_groups()["AutoScalingGroups"]
    (found,) = (g for g in groups if g["AutoScalingGroupName"].startswith(name))
    return found


def actions(firstbell: Firstbell, stack: str, names: list[str]) -> dict[str, list[Any]]:
    """The live actions by season target, read with boto3 and nothing of ours."""
    pages = firstbell.client("autoscaling").get_paginator("describe_scheduled_actions").paginate()
    of_groups = [action for page in pages for action in page["ScheduledUpdateGroupActions"]]
    database = firstbell.client("application-autoscaling").get_paginator(
        "describe_scheduled_actions"
    )
    return {
        name: [a for a in of_groups if a["AutoScalingGroupName"].startswith(f"{stack}-{name}")]
        for name in names
    } | {
        "database": [
            action
            for page in database.paginate(ServiceNamespace="rds")
            for action in page["ScheduledActions"]
        ],
        "balancer": schedules(firstbell),
    }


def schedules(firstbell: Firstbell) -> list[dict[str, Any]]:
    """The reservations that EventBridge Scheduler is to call for; it publishes floors as well."""
    scheduler = firstbell.client("scheduler")
    return [
        schedule
        for page in scheduler.get_paginator("list_schedules").paginate()
        for listed in page["Schedules"]
        for schedule in (scheduler.get_schedule(Name=listed["Name"]),)
        if schedule["Target"]["Arn"].endswith(":modifyCapacityReservation")
    ]


def targets(firstbell: Firstbell, stack: str) -> dict[str, dict[str, Any]]:
    return {t["target"]: t for t in firstbell.json("status", "-s", stack)["targets"]}


def judged(firstbell: Firstbell, stack: str, names: list[str], since: datetime) -> None:
    """The second evaluator finds no gap in the live actions, and nothing that takes too much."""
    season = firstbell.stacks / "seasons" / f"{stack}.yaml"
    found = actions(firstbell, stack, names)
    assert all(found[name] for name in names)
    initial = {name: group(firstbell, f"{stack}-{name}")["MinSize"] for name in names}
    initial |= {"database": 1, "balancer": 0}
    assert evaluate(season, found, since=since, initial=initial) == []
    assert find_excess(season, found, since=since, initial=initial) == []


def broken_and_repaired(
    firstbell: Firstbell, stack: str, tier: str, also: Collection[tuple[str, str]] = ()
) -> None:
    """A floor lowered and an action deleted by hand are named by `drift` and put right by `up`.

    So are the bounds and resources of `also`, which the caller has changed.
    """
    autoscaling = firstbell.client("autoscaling")
    before = group(firstbell, f"{stack}-{tier}")
    name = before["AutoScalingGroupName"]
    gone = autoscaling.describe_scheduled_actions(AutoScalingGroupName=name)[
        "ScheduledUpdateGroupActions"
    ][0]["ScheduledActionName"]
    autoscaling.delete_scheduled_action(AutoScalingGroupName=name, ScheduledActionName=gone)
    autoscaling.update_auto_scaling_group(AutoScalingGroupName=name, MinSize=before["MinSize"] - 1)
    differences = firstbell.json("drift", "-s", stack, code=7)["differences"]
    named = {(entry["name"], entry["property"]) for entry in differences}
    assert named == {(gone, "the resource"), (f"{stack}-{tier}", "minSize"), *also}
    again = firstbell.json("up", "-s", stack)
    bounds = [name for name, changed in named if changed != "the resource"]
    assert len(again["repaired"]) == len(bounds)
    controls = again["policy"]["controls"]
    assert controls["failed"] == controls["undetermined"] == []
    assert group(firstbell, f"{stack}-{tier}")["MinSize"] == before["MinSize"]
    assert firstbell.json("drift", "-s", stack)["differences"] == []


# What a stack makes that holds others: service, operation, member of the answer.
MADE = (
    ("autoscaling", "describe_auto_scaling_groups", "AutoScalingGroups"),
    ("cloudfront", "list_distributions", "DistributionList.Items"),
    ("efs", "describe_file_systems", "FileSystems"),
    ("elasticache", "describe_replication_groups", "ReplicationGroups"),
    ("elbv2", "describe_load_balancers", "LoadBalancers"),
    ("rds", "describe_db_clusters", "DBClusters"),
    ("rds", "describe_db_proxies", "DBProxies"),
    ("s3", "list_buckets", "Buckets"),
    ("scheduler", "list_schedules", "Schedules"),
    ("stepfunctions", "list_state_machines", "stateMachines"),
    ("secretsmanager", "list_secrets", "SecretList"),
    ("sqs", "list_queues", "QueueUrls"),
)


def nothing_is_left(firstbell: Firstbell) -> None:
    for service, operation, member in MADE:
        answer = getattr(firstbell.client(service), operation)()
        assert not jmespath.search(member, answer), f"{service} {member}"
    for scope, region in (("REGIONAL", firstbell.region), ("CLOUDFRONT", "us-east-1")):
        assert firstbell.client("wafv2", region).list_web_acls(Scope=scope)["WebACLs"] == []
    vpcs = firstbell.client("ec2").describe_vpcs()["Vpcs"]
    assert [vpc for vpc in vpcs if not vpc["IsDefault"]] == []


def test_elyco_has_its_tier_up_before_ten_to_nine_and_back_afterwards(
    committed: Firstbell,
) -> None:
    def before_the_burst(firstbell: Firstbell) -> None:
        found = targets(firstbell, "elyco")
        # 20,000 logins x 10 requests in 600 s, and 160 requests/s of the morning; 25 an instance.
        assert found["nantes"]["in_service"] >= 20
        assert found["nantes"]["in_service"] >= found["nantes"]["required"]
        # The shared tier has nothing to do with it.
        assert found["web"]["in_service"] <= 3

    def afterwards(firstbell: Firstbell) -> None:
        found = targets(firstbell, "elyco")["nantes"]
        assert (found["required"], found["in_service"]) == (7, 7)

    committed.region = "eu-west-3"
    live(
        committed,
        "elyco",
        {
            "firstbell up -s elyco": lambda firstbell: judged(
                firstbell, "elyco", ["web", "nantes"], datetime(2026, 8, 20, tzinfo=UTC)
            ),
            "firstbell local advance --to 2026-09-08T06:49Z": before_the_burst,
            "firstbell local advance --to 2026-09-08T07:40Z": afterwards,
            "firstbell drift -s elyco": lambda firstbell: broken_and_repaired(
                firstbell, "elyco", "nantes"
            ),
            "firstbell destroy -s elyco --yes": nothing_is_left,
        },
    )


def every_part_is_there(firstbell: Firstbell) -> None:
    """As the cloud has it: CDN and web ACL before the tiers, names, cache, files, jobs, proxy."""
    (cdn,) = firstbell.client("cloudfront").list_distributions()["DistributionList"]["Items"]
    hosts = {"infomentor.example.org", "staging.infomentor.example.org"}
    assert cdn["Enabled"]
    assert set(cdn["Aliases"]["Items"]) == hosts
    (firewall,) = firstbell.client("wafv2", "us-east-1").list_web_acls(Scope="CLOUDFRONT")[
        "WebACLs"
    ]
    assert cdn["WebACLId"] == firewall["ARN"]
    records = firstbell.client("route53").list_resource_record_sets(HostedZoneId="Z0INFOMENTOR")
    pointing = [
        (record["Name"].rstrip("."), record["Type"])
        for record in records["ResourceRecordSets"]
        if record.get("AliasTarget", {}).get("DNSName", "").rstrip(".") == cdn["DomainName"]
    ]
    assert sorted(pointing) == sorted((host, kind) for host in hosts for kind in ("A", "AAAA"))
    certificate = firstbell.client("acm", "us-east-1").describe_certificate(
        CertificateArn=cdn["ViewerCertificate"]["ACMCertificateArn"]
    )["Certificate"]
    assert hosts <= {certificate["DomainName"], *certificate["SubjectAlternativeNames"]}
    balancing = firstbell.client("elbv2")
    (balancer,) = balancing.describe_load_balancers()["LoadBalancers"]
    (listener,) = balancing.describe_listeners(LoadBalancerArn=balancer["LoadBalancerArn"])[
        "Listeners"
    ]
    rules = balancing.describe_rules(ListenerArn=listener["ListenerArn"])["Rules"]
    for rule in (rule for rule in rules if not rule["IsDefault"]):
        headers = jmespath.search("Conditions[].HttpHeaderConfig.HttpHeaderName", rule)
        assert HEADER in headers, "who walks around the CDN is refused"

    (cache,) = firstbell.client("elasticache").describe_replication_groups()["ReplicationGroups"]
    assert (cache["Status"], cache["MultiAZ"]) == ("available", "enabled")
    efs = firstbell.client("efs")
    (shared,) = efs.describe_file_systems()["FileSystems"]
    mounts = efs.describe_mount_targets(FileSystemId=shared["FileSystemId"])["MountTargets"]
    assert len({mount["SubnetId"] for mount in mounts}) == 3
    outputs = firstbell.json("outputs", "-s", "infomentor")["outputs"]
    firstbell.client("s3").head_bucket(Bucket=outputs["files"]["bucket"])
    queue = firstbell.client("sqs").get_queue_attributes(
        QueueUrl=outputs["workers"]["workers"]["queue_url"], AttributeNames=["RedrivePolicy"]
    )
    assert "deadLetterTargetArn" in queue["Attributes"]["RedrivePolicy"]
    assert group(firstbell, "infomentor-workers")["Instances"]
    (proxy,) = firstbell.client("rds").describe_db_proxies()["DBProxies"]
    assert (proxy["Status"], proxy["RequireTLS"]) == ("available", True)


def test_infomentor_lends_to_staging_only_what_production_gives_back(
    committed: Firstbell,
) -> None:
    """The stack with every part on."""

    def applied(firstbell: Firstbell) -> None:
        judged(firstbell, "infomentor", ["web", "staging"], datetime(2026, 8, 9, tzinfo=UTC))
        every_part_is_there(firstbell)

    def off_season(firstbell: Firstbell) -> None:
        found = targets(firstbell, "infomentor")
        assert (found["web"]["in_service"], found["staging"]["in_service"]) == (2, 16)

    def in_the_grades(firstbell: Firstbell) -> None:
        found = targets(firstbell, "infomentor")
        web, staging = found["web"]["in_service"], found["staging"]["in_service"]
        assert web >= found["web"]["required"] >= 25
        assert staging < 16
        assert web + staging <= 40

    live(
        committed,
        "infomentor",
        {
            "firstbell up -s infomentor": applied,
            "firstbell local advance --to 2026-12-07T08:00Z": in_the_grades,
            "firstbell season show -s infomentor --week 2026-12-07": off_season,
            "firstbell drift -s infomentor": lambda firstbell: broken_and_repaired(
                firstbell, "infomentor", "web"
            ),
            "firstbell destroy -s infomentor --yes": nothing_is_left,
        },
    )


def reservations_are_as_planned(firstbell: Firstbell) -> None:
    """Each call of the plan is a schedule, with this load balancer in the place of the stand-in."""
    (balancer,) = firstbell.client("elbv2").describe_load_balancers()["LoadBalancers"]
    (role,) = (
        role
        for role in firstbell.client("iam").list_roles()["Roles"]
        if role["RoleName"].startswith("itslearning-balancer")
    )

    def called(schedule: Mapping[str, Any], arn: str) -> tuple[str, ...]:
        change = json.loads(schedule["Target"]["Input"])
        assert change.pop("LoadBalancerArn") == arn
        start, end = (schedule[key] for key in ("StartDate", "EndDate"))
        return (
            schedule["ScheduleExpression"],
            schedule["ScheduleExpressionTimezone"],
            *(at if isinstance(at, str) else f"{at:%Y-%m-%dT%XZ}" for at in (start, end)),
            schedule["FlexibleTimeWindow"]["Mode"],
            schedule["Target"]["Arn"],
            json.dumps(change),
        )

    plan = json.loads((firstbell.stacks / "seasons" / "itslearning.plan.json").read_text())
    live = schedules(firstbell)
    assert {called(schedule, balancer["LoadBalancerArn"]) for schedule in live} == {
        called(action, LOAD_BALANCER) for action in plan["targets"]["balancer"]["actions"]
    }
    assert {schedule["Target"]["RoleArn"] for schedule in live} == {role["Arn"]}
    assert all(schedule["State"] == "ENABLED" for schedule in live)


def reserved(firstbell: Firstbell) -> int:
    """The load balancer capacity units that stand reserved."""
    balancing = firstbell.client("elbv2")
    (balancer,) = balancing.describe_load_balancers()["LoadBalancers"]
    found = balancing.describe_capacity_reservation(LoadBalancerArn=balancer["LoadBalancerArn"])
    return found.get("MinimumLoadBalancerCapacity", {}).get("CapacityUnits", 0)


def test_itslearning_imports_outside_core_hours_alone(committed: Firstbell) -> None:
    def applied(firstbell: Firstbell) -> None:
        names = ["web", "imports"]
        judged(firstbell, "itslearning", names, datetime(2026, 8, 16, tzinfo=UTC))
        reservations_are_as_planned(firstbell)

    def imports_are(units: int, *, at: str) -> Check:
        """The group's live bounds and instances, read with boto3, are just so many."""

        def check(firstbell: Firstbell) -> None:
            found = group(firstbell, "itslearning-imports")
            sizes = (found["MinSize"], found["MaxSize"], len(found["Instances"]))
            assert sizes == (units, units, units), at

        return check

    def before_the_burst(firstbell: Firstbell) -> None:
        imports_are(0, at="07:59 in Norway")(firstbell)
        found = targets(firstbell, "itslearning")
        # 40,000 logins x 10 requests in 1,200 s, and twice 0.8 requests/s for each 1,000 of
        # 500,000 users from eight on; 25 an instance.
        most = 40_000 * 10 / 1_200 + 2 * 0.8 * 500
        assert found["web"]["in_service"] >= most / 25
        # A unit of the load balancer's capacity bears 9 a second, and 3 of 4 are planned for.
        assert reserved(firstbell) >= most / (9 * 0.75)
        assert found["balancer"]["in_service"] == reserved(firstbell)

    def back_again(firstbell: Firstbell) -> None:
        imports_are(4, at="16:10")(firstbell)
        assert reserved(firstbell) == 0

    def in_the_burst(firstbell: Firstbell) -> None:
        for name in ("web", "database"):
            found = targets(firstbell, "itslearning")[name]
            assert found["in_service"] >= found["required"], name

    def reservations_come_back(firstbell: Firstbell) -> None:
        """A schedule deleted by hand, and a reservation that somebody forgot."""
        balancing, scheduler = firstbell.client("elbv2"), firstbell.client("scheduler")
        (balancer,) = balancing.describe_load_balancers()["LoadBalancers"]
        gone = max(schedules(firstbell), key=lambda schedule: schedule["StartDate"])["Name"]
        scheduler.delete_schedule(Name=gone)
        balancing.modify_capacity_reservation(
            LoadBalancerArn=balancer["LoadBalancerArn"],
            MinimumLoadBalancerCapacity={"CapacityUnits": 150},
        )
        also = {(gone, "the resource"), ("itslearning-balancer", "minSize")}
        broken_and_repaired(firstbell, "itslearning", "imports", also)
        assert reserved(firstbell) == 0
        assert gone in {schedule["Name"] for schedule in schedules(firstbell)}

    live(
        committed,
        "itslearning",
        {
            "firstbell up -s itslearning": applied,
            "firstbell local advance --by 10m": imports_are(4, at="a Sunday before school"),
            "firstbell local advance --to 2027-03-09T06:20Z": imports_are(4, at="07:20"),
            "firstbell local advance --to 2027-03-09T06:59Z": before_the_burst,
            "firstbell local advance --to 2027-03-09T07:15Z": in_the_burst,
            "firstbell local advance --to 2027-03-09T15:10Z": back_again,
            "firstbell drift -s itslearning": reservations_come_back,
            "firstbell destroy -s itslearning --yes": nothing_is_left,
        },
    )


def test_the_grading_weeks_of_five_countries_add_up() -> None:
    """20 January 2027: half-year grades in Iceland, Germany and Switzerland, school in the others.

    At 09:00 UTC it is 09:00 in Iceland and England, 10:00 elsewhere: 0.9 requests/s per 1,000 users
    in all five, times 2.5, 2 and 2.5 where they grade.
    """
    season = PROJECT_ROOT / "stacks" / "seasons" / "infomentor.yaml"
    web = next(target for target in required_units(season) if target.name == "web")

    def needed(month: int, day: int) -> int:
        return int(
            web.units[
                (datetime(2027, month, day, 9, tzinfo=UTC) - web.start) // timedelta(minutes=1)
            ]
        )

    users = 30 * 2.5 + 250 + 100 * 2 + 60 * 2.5 + 120
    assert needed(1, 20) == math.ceil(users * 0.9 / 25)
    # The week before, Germany does not grade yet; two weeks later nobody does.
    assert needed(1, 13) == math.ceil((users - 100) * 0.9 / 25)
    assert needed(2, 3) == math.ceil((30 + 250 + 100 + 60 + 120) * 0.9 / 25)
