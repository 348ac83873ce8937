"""The recorded API in front of a real moto, asked with boto3 in each of AWS's protocols."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import botocore.session
import pytest
from botocore.exceptions import ClientError
from moto.moto_server.werkzeug_app import DomainDispatcherApplication, create_backend_app
from werkzeug.serving import make_server

from cli.localcloud.provider.rows import RECORDED, ROWS
from cli.localcloud.recorded.base import (
    CHANGED,
    NOW,
    VERSION,
    Amended,
    Answer,
    Asked,
    Handler,
    Recorded,
)
from cli.localcloud.recorded.kinds import HANDLERS
from cli.localcloud.recorded.serving import SIGNED_AS, recording
from cli.localcloud.server import LocalCloud


def described_twice(asked: Asked) -> Answer:
    answer = asked.moto()
    answer["Subnets"] = [subnet | {"OutpostArn": "arn:ours"} for subnet in answer["Subnets"]]
    return answer


# rest-xml, rest-json, json, query and ec2.
KINDS = (
    Recorded(
        service="cloudfront",
        kind="cache policy",
        key="Id",
        create="CreateCachePolicy",
        describe="GetCachePolicy GetCachePolicyConfig",
        update="UpdateCachePolicy",
        delete="DeleteCachePolicy",
        list="ListCachePolicies",
        unique="CachePolicyConfig.Name",
        taken="CachePolicyAlreadyExists",
        missing="NoSuchCachePolicy",
        made={"ETag": VERSION, "LastModifiedTime": CHANGED, "Type": "custom"},
        everywhere=True,
    ),
    Recorded(
        service="backup",
        kind="restore testing plan",
        key="RestoreTestingPlanName",
        create="CreateRestoreTestingPlan",
        describe="GetRestoreTestingPlan",
        update="UpdateRestoreTestingPlan",
        delete="DeleteRestoreTestingPlan",
        list="ListRestoreTestingPlans",
        tagging="TagResource UntagResource ListTags",
        made={
            "CreationTime": NOW,
            "RestoreTestingPlanArn": (
                "arn:aws:backup:{region}:{account}:restore-testing-plan:{RestoreTestingPlanName}"
            ),
        },
    ),
    Recorded(
        service="codebuild",
        kind="report group",
        key="arn",
        create="CreateReportGroup",
        list="BatchGetReportGroups",
        wanted={"reportGroupArns": "arn"},
        new_id=lambda: "arn:aws:codebuild:eu-north-1:123456789012:report-group/one",
    ),
)


def handlers() -> dict[str, dict[str, Handler]]:
    found: dict[str, dict[str, Handler]] = {
        kind.service: kind.handlers() | kind.tag_handlers() for kind in KINDS
    }
    amended = Amended("ec2", "DescribeSubnets", described_twice)
    return found | {
        "ec2": {amended.operation: amended.handler} | HANDLERS["ec2"],
        "elbv2": HANDLERS["elbv2"],
    }


@dataclass(frozen=True)
class Served:
    """A recording server in this process."""

    cloud: LocalCloud

    def client(self, service: str, region: str = "eu-north-1") -> Any:
        return self.cloud.client(service, region)


@pytest.fixture
def served() -> Iterator[Served]:
    app = recording(DomainDispatcherApplication(create_backend_app), handlers())
    server = make_server("127.0.0.1", 0, app, threaded=True)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield Served(LocalCloud(f"http://127.0.0.1:{server.server_port}", "none", 0))
    server.shutdown()
    thread.join()
    server.server_close()


def policy(name: str, seconds: int) -> dict[str, Any]:
    return {"Name": name, "MinTTL": 0, "DefaultTTL": seconds, "MaxTTL": 900}


def code(refused: pytest.ExceptionInfo[ClientError]) -> str:
    return refused.value.response.get("Error", {}).get("Code", "")


def test_what_was_created_is_described_listed_updated_and_deleted(served: Served) -> None:
    cloudfront = served.client("cloudfront")
    made = cloudfront.create_cache_policy(CachePolicyConfig=policy("pages", 60))
    id, tag = made["CachePolicy"]["Id"], made["ETag"]
    assert made["CachePolicy"]["CachePolicyConfig"] == policy("pages", 60)
    assert cloudfront.get_cache_policy_config(Id=id)["CachePolicyConfig"]["DefaultTTL"] == 60
    listed = cloudfront.list_cache_policies()["CachePolicyList"]
    assert (listed["Quantity"], listed["Items"][0]["Type"]) == (1, "custom")
    assert listed["Items"][0]["CachePolicy"]["Id"] == id
    cloudfront.update_cache_policy(Id=id, IfMatch=tag, CachePolicyConfig=policy("pages", 120))
    shown = cloudfront.get_cache_policy(Id=id)
    assert shown["CachePolicy"]["CachePolicyConfig"]["DefaultTTL"] == 120
    assert shown["ETag"] != tag
    cloudfront.delete_cache_policy(Id=id, IfMatch=shown["ETag"])
    assert cloudfront.list_cache_policies()["CachePolicyList"]["Quantity"] == 0


def test_aws_own_codes_refuse_what_is_there_is_gone_or_is_stale(served: Served) -> None:
    cloudfront = served.client("cloudfront")
    made = cloudfront.create_cache_policy(CachePolicyConfig=policy("pages", 60))
    with pytest.raises(ClientError) as refused:
        cloudfront.create_cache_policy(CachePolicyConfig=policy("pages", 90))
    assert code(refused) == "CachePolicyAlreadyExists"
    with pytest.raises(ClientError) as refused:
        cloudfront.get_cache_policy(Id="none")
    assert code(refused) == "NoSuchCachePolicy"
    with pytest.raises(ClientError) as refused:
        cloudfront.delete_cache_policy(Id=made["CachePolicy"]["Id"], IfMatch="old")
    assert code(refused) == "PreconditionFailed"


def test_a_request_that_the_model_does_not_allow_is_refused(served: Served) -> None:
    ec2 = served.client("ec2")
    with pytest.raises(ClientError, match="is none of") as refused:
        ec2.modify_vpc_block_public_access_options(InternetGatewayBlockMode="everything")
    assert code(refused) == "InvalidParameterValue"


def test_an_update_keeps_what_it_has_no_member_for(served: Served) -> None:
    backup = served.client("backup")
    plan = {
        "RestoreTestingPlanName": "monthly",
        "ScheduleExpression": "cron(0 3 1 * ? *)",
        "RecoveryPointSelection": {
            "Algorithm": "LATEST_WITHIN_WINDOW",
            "IncludeVaults": ["*"],
            "RecoveryPointTypes": ["SNAPSHOT"],
        },
    }
    made = backup.create_restore_testing_plan(RestoreTestingPlan=plan, Tags={"stack": "demo"})
    arn = made["RestoreTestingPlanArn"]
    assert arn == "arn:aws:backup:eu-north-1:123456789012:restore-testing-plan:monthly"
    backup.update_restore_testing_plan(
        RestoreTestingPlanName="monthly",
        RestoreTestingPlan={"ScheduleExpression": "cron(0 4 1 * ? *)"},
    )
    shown = backup.get_restore_testing_plan(RestoreTestingPlanName="monthly")["RestoreTestingPlan"]
    assert shown["RestoreTestingPlanName"] == "monthly"
    assert shown["RestoreTestingPlanArn"] == arn
    assert shown["ScheduleExpression"] == "cron(0 4 1 * ? *)"
    assert [p["RestoreTestingPlanName"] for p in plans(backup)] == ["monthly"]
    assert plans(served.client("backup", "eu-west-1")) == []


def plans(backup: Any) -> list[dict[str, Any]]:
    return backup.list_restore_testing_plans()["RestoreTestingPlans"]


def test_tags_of_what_is_recorded_and_of_what_moto_has_live_side_by_side(served: Served) -> None:
    backup = served.client("backup")
    plan = {
        "RestoreTestingPlanName": "tagged",
        "ScheduleExpression": "cron(0 3 1 * ? *)",
        "RecoveryPointSelection": {
            "Algorithm": "LATEST_WITHIN_WINDOW",
            "IncludeVaults": ["*"],
            "RecoveryPointTypes": ["SNAPSHOT"],
        },
    }
    arn = backup.create_restore_testing_plan(RestoreTestingPlan=plan, Tags={"stack": "demo"})[
        "RestoreTestingPlanArn"
    ]
    vault = backup.create_backup_vault(BackupVaultName="ours", BackupVaultTags={"a": "b"})
    backup.tag_resource(ResourceArn=arn, Tags={"owner": "ops"})
    backup.untag_resource(ResourceArn=arn, TagKeyList=["stack"])
    assert backup.list_tags(ResourceArn=arn)["Tags"] == {"owner": "ops"}
    assert backup.list_tags(ResourceArn=vault["BackupVaultArn"])["Tags"] == {"a": "b"}
    backup.delete_backup_vault(BackupVaultName="ours")


def test_a_listing_shows_only_what_it_was_asked_for(served: Served) -> None:
    codebuild = served.client("codebuild")
    made = codebuild.create_report_group(
        name="one", type="TEST", exportConfig={"exportConfigType": "NO_EXPORT"}
    )
    arn = made["reportGroup"]["arn"]
    assert [
        g["name"] for g in codebuild.batch_get_report_groups(reportGroupArns=[arn])["reportGroups"]
    ] == ["one"]
    assert (
        codebuild.batch_get_report_groups(reportGroupArns=["arn:aws:other"])["reportGroups"] == []
    )


def test_an_option_of_the_account_is_there_before_it_is_set(served: Served) -> None:
    ec2 = served.client("ec2")
    name = "VpcBlockPublicAccessOptions"
    before = ec2.describe_vpc_block_public_access_options()[name]
    ec2.modify_vpc_block_public_access_options(InternetGatewayBlockMode="block-ingress")
    after = ec2.describe_vpc_block_public_access_options()[name]
    assert (before["InternetGatewayBlockMode"], after["InternetGatewayBlockMode"]) == (
        "off",
        "block-ingress",
    )


def test_an_amended_answer_is_motos_with_what_it_lacks(served: Served) -> None:
    subnets = served.client("ec2").describe_subnets()["Subnets"]
    assert len(subnets) >= 3
    assert {subnet["OutpostArn"] for subnet in subnets} == {"arn:ours"}


def test_an_error_of_motos_reaches_the_caller_through_an_amended_operation(
    served: Served,
) -> None:
    with pytest.raises(ClientError) as refused:
        served.client("ec2").describe_subnets(SubnetIds=["subnet-00000000"])
    assert code(refused) == "InvalidSubnetID.NotFound"


@pytest.mark.parametrize("units", [99, 15_001])
def test_load_balancer_capacity_has_its_limits(served: Served, units: int) -> None:
    elb = served.client("elbv2")
    arn = "arn:aws:elasticloadbalancing:eu-north-1:123456789012:loadbalancer/app/a/1"
    for fine in (100, 15_000):
        elb.modify_capacity_reservation(
            LoadBalancerArn=arn, MinimumLoadBalancerCapacity={"CapacityUnits": fine}
        )
    with pytest.raises(ClientError, match="between 100 and 15000"):
        elb.modify_capacity_reservation(
            LoadBalancerArn=arn, MinimumLoadBalancerCapacity={"CapacityUnits": units}
        )
    kept = elb.describe_capacity_reservation(LoadBalancerArn=arn)["MinimumLoadBalancerCapacity"]
    assert kept == {"CapacityUnits": 15_000}
    elb.modify_capacity_reservation(LoadBalancerArn=arn, ResetCapacityReservation=True)
    assert "MinimumLoadBalancerCapacity" not in elb.describe_capacity_reservation(
        LoadBalancerArn=arn
    )


def test_requests_that_are_not_recorded_are_motos(served: Served) -> None:
    elb = served.client("elbv2")
    assert elb.describe_load_balancers()["LoadBalancers"] == []
    assert served.client("elb").describe_load_balancers()["LoadBalancerDescriptions"] == []


def test_every_recorded_operation_is_one_of_the_service_by_its_signing_name() -> None:
    session = botocore.session.get_session()
    for service, operations in HANDLERS.items():
        model = session.get_service_model(service)
        assert set(operations) <= set(model.operation_names), service
        assert SIGNED_AS.get(service, service) == model.signing_name


def test_types_are_marked_recorded_by_what_creates_them() -> None:
    assert set(RECORDED) <= set(ROWS)
    assert "aws:ec2/vpc:Vpc" not in RECORDED
