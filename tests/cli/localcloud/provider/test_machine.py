"""The machine's own logic: check, diff, what a refresh records. No server is asked."""

from __future__ import annotations

from typing import Any

import pytest

from cli.localcloud.provider.aws import Cloud
from cli.localcloud.provider.machine import Machine, ResourceError
from cli.localcloud.provider.mapping import from_api, to_api
from cli.localcloud.provider.rows import RECORDED, ROWS
from cli.localcloud.provider.schema import FILE, generate, render, schema_of
from cli.localcloud.provider.values import UNKNOWN, Comparison, coerce, decode, encode
from tests.cli.localcloud.provider.conftest import REGION

WEB_ACL_LOGGING = "aws:wafv2/webAclLoggingConfiguration:WebAclLoggingConfiguration"
SUBNET = "aws:ec2/subnet:Subnet"
SCHEDULE = "aws:autoscaling/schedule:Schedule"
TARGETS = "aws:lb/targetGroup:TargetGroup"
GROUP = "aws:autoscaling/group:Group"
ROLE = "aws:iam/role:Role"


@pytest.fixture(scope="module")
def cloud() -> Cloud:
    return Cloud("http://127.0.0.1:9", REGION)


def _machine(cloud: Cloud, kind: str, **default_tags: str) -> Machine:
    return Machine(ROWS[kind], cloud, default_tags)


def _check(machine: Machine, given: dict[str, Any], old: dict[str, Any] | None = None) -> Any:
    return machine.check("thing", b"seed", old or {}, given)


# ---- The schema ------------------------------------------------------------------------------


def test_the_schema_file_is_that_of_the_installed_sdk() -> None:
    assert FILE.read_text() == render(generate(ROWS, RECORDED)), (
        "run: python -m cli.localcloud.provider.schema"
    )


@pytest.mark.parametrize("kind", ROWS)
def test_a_row_names_only_properties_that_its_type_has(cloud: Cloud, kind: str) -> None:
    row, schema = ROWS[kind], schema_of(kind)
    known = set(schema.outputs) | {"id"}
    inputs = [row.replace, row.computed, row.ignored, row.absent, row.sensitive]
    assert {word for words in inputs for word in words.split()} <= set(schema.inputs)
    assert set(row.volatile.split()) | set(row.reads) | set(row.key.values()) <= known
    assert set(row.defaults) <= set(schema.inputs)


# ---- Check -----------------------------------------------------------------------------------


def test_a_misspelt_property_is_refused_with_the_nearest_name(cloud: Cloud) -> None:
    _, failures = _check(_machine(cloud, SUBNET), {"vpcId": "vpc-1", "cidrBlok": "10.0.0.0/24"})
    assert failures == [("cidrBlok", "unknown property; did you mean cidrBlock?")]


def test_a_misspelt_property_inside_a_block_is_refused(cloud: Cloud) -> None:
    given = {"healthCheck": {"pat": "/"}}
    _, failures = _check(_machine(cloud, TARGETS), given)
    assert [path for path, _ in failures] == ["healthCheck.pat"]


def test_a_missing_required_property_is_refused(cloud: Cloud) -> None:
    _, failures = _check(_machine(cloud, SUBNET), {"cidrBlock": "10.0.0.0/24"})
    assert failures == [("vpcId", "is required")]


def test_a_property_that_would_be_lost_is_refused(cloud: Cloud) -> None:
    given: dict[str, Any] = {"vpcId": "vpc-1", "cidrBlock": "10.0.0.0/24", "outpostArn": "arn"}
    machine = _machine(cloud, SUBNET)
    assert _check(machine, given)[1] == []
    given["enableLniAtDeviceIndex"] = 1
    assert [path for path, _ in _check(machine, given)[1]] == ["enableLniAtDeviceIndex"]


def test_numbers_and_truths_may_be_given_as_text(cloud: Cloud) -> None:
    inputs, failures = _check(_machine(cloud, TARGETS), {"port": "80", "slowStart": "30"})
    assert (inputs["port"], inputs["slowStart"], failures) == (80, 30, [])
    _, failures = _check(_machine(cloud, TARGETS), {"port": "eighty"})
    assert failures == [("port", "expected int, got 'eighty'")]


def test_what_has_no_name_gets_one_and_keeps_it(cloud: Cloud) -> None:
    machine = _machine(cloud, TARGETS)
    first, _ = _check(machine, {})
    assert first["name"].startswith("thing-")
    assert len(first["name"]) == len("thing-") + 7
    second, _ = machine.check("thing", b"another seed", first, {})
    assert second["name"] == first["name"]
    named, _ = machine.check("thing", b"seed", first, {"name": "mine"})
    assert named["name"] == "mine"


def test_a_name_that_is_too_long_with_its_suffix_is_refused(cloud: Cloud) -> None:
    machine = _machine(cloud, TARGETS)
    assert machine.check("a" * 24, b"seed", {}, {})[1] == []
    assert [path for path, _ in machine.check("a" * 25, b"seed", {}, {})[1]] == ["name"]


def test_an_omitted_size_of_a_scheduled_action_is_zero(cloud: Cloud) -> None:
    given = {"autoscalingGroupName": "g", "scheduledActionName": "a", "minSize": 2}
    inputs, _ = _check(_machine(cloud, SCHEDULE), given)
    assert (inputs["minSize"], inputs["maxSize"], inputs["desiredCapacity"]) == (2, 0, 0)


# ---- Diff ------------------------------------------------------------------------------------


def _diff(machine: Machine, old: Any, new: Any, outputs: Any = None) -> Any:
    return machine.diff(outputs or {}, old, new)


def test_the_order_of_a_set_is_no_difference(cloud: Cloud) -> None:
    machine = _machine(cloud, GROUP)
    old = {"vpcZoneIdentifiers": ["a", "b"], "tags": [{"key": "x"}, {"key": "y"}]}
    new = {"vpcZoneIdentifiers": ["b", "a"], "tags": [{"key": "y"}, {"key": "x"}]}
    assert _diff(machine, old, new).changes == {}
    assert _diff(machine, old, new | {"vpcZoneIdentifiers": ["b"]}).changes == {
        "vpcZoneIdentifiers": "update"
    }


def test_the_order_of_a_list_is_a_difference(cloud: Cloud) -> None:
    old = {"terminationPolicies": ["OldestInstance", "Default"]}
    new = {"terminationPolicies": ["Default", "OldestInstance"]}
    assert _diff(_machine(cloud, GROUP), old, new).changes == {"terminationPolicies": "update"}


def test_a_computed_property_left_out_after_it_was_given_is_no_difference(cloud: Cloud) -> None:
    machine = _machine(cloud, SCHEDULE)
    old = {"startTime": "2026-08-03T05:45:00Z", "recurrence": "45 7 * * *"}
    assert _diff(machine, old, {"recurrence": "45 7 * * *"}).changes == {}
    changed = {"recurrence": "45 7 * * *", "startTime": "2026-08-04T05:45:00Z"}
    assert _diff(machine, old, changed).changes == {"startTime": "update"}


def test_a_plain_property_left_out_after_it_was_given_is_a_difference(cloud: Cloud) -> None:
    assert _diff(_machine(cloud, ROLE), {"description": "web"}, {}).changes == {
        "description": "delete"
    }


def test_json_texts_are_compared_by_what_they_say(cloud: Cloud) -> None:
    machine = _machine(cloud, ROLE)
    old, new = {"assumeRolePolicy": '{"a":1,"b":2}'}, {"assumeRolePolicy": '{ "b": 2, "a": 1 }'}
    assert _diff(machine, old, new).changes == {}
    assert _diff(machine, old, {"assumeRolePolicy": '{"a":1}'}).changes != {}


def test_false_and_zero_differ_from_nothing_but_an_empty_list_does_not() -> None:
    compare = Comparison(frozenset(), frozenset())
    assert compare.same([], None, "x")
    assert compare.same({}, None, "x")
    assert not compare.same(False, None, "x")
    assert not compare.same(0, None, "x")
    assert not compare.same(UNKNOWN, "a", "x")


def test_what_cannot_change_in_place_is_replaced(cloud: Cloud) -> None:
    machine = _machine(cloud, SUBNET)
    difference = _diff(machine, {"cidrBlock": "10.0.0.0/24"}, {"cidrBlock": UNKNOWN})
    assert difference.replaces == {"cidrBlock"}
    assert difference.delete_first is False
    assert _diff(machine, {"mapPublicIpOnLaunch": True}, {}).replaces == frozenset()


def test_a_new_default_tag_changes_what_is_tagged(cloud: Cloud) -> None:
    outputs = {"tagsAll": {"a": "1"}}
    inputs = {"tags": {"a": "1"}}
    assert _diff(_machine(cloud, SUBNET), inputs, inputs, outputs).changes == {}
    assert _diff(_machine(cloud, SUBNET, b="2"), inputs, inputs, outputs).changes == {
        "tagsAll": "update"
    }


# ---- Previews --------------------------------------------------------------------------------


def test_a_preview_leaves_unknown_what_only_aws_can_tell(cloud: Cloud) -> None:
    machine = _machine(cloud, SUBNET)
    inputs, _ = _check(machine, {"vpcId": UNKNOWN, "cidrBlock": "10.0.0.0/24", "tags": {"a": "b"}})
    id, outputs = machine.create(inputs, preview=True)
    assert id == ""
    assert (outputs["arn"], outputs["vpcId"]) == (UNKNOWN, UNKNOWN)
    assert (outputs["cidrBlock"], outputs["tagsAll"]) == ("10.0.0.0/24", {"a": "b"})


def test_a_list_of_what_is_not_known_yet_is_not_taken_for_an_empty_one(cloud: Cloud) -> None:
    machine = _machine(cloud, WEB_ACL_LOGGING)
    given: dict[str, Any] = {"resourceArn": UNKNOWN, "logDestinationConfigs": [UNKNOWN]}
    inputs, _ = _check(machine, given)
    machine.create(inputs, preview=True)
    inputs, _ = _check(machine, {"resourceArn": "arn:aws:wafv2:a", "logDestinationConfigs": []})
    with pytest.raises(ResourceError, match="LogDestinationConfigs: is required"):
        machine.create(inputs, preview=True)


def test_a_preview_refuses_what_aws_would_refuse(cloud: Cloud) -> None:
    machine = _machine(cloud, SUBNET)
    inputs, _ = _check(machine, {"vpcId": UNKNOWN, "cidrBlock": "10.0.0.0/8"})
    with pytest.raises(ResourceError, match=r"create_subnet: InvalidSubnet\.Range"):
        machine.create(inputs, preview=True)


# ---- What a refresh records ------------------------------------------------------------------


def test_a_refresh_keeps_what_was_given_where_the_cloud_agrees() -> None:
    compare = Comparison(frozenset({"ordered"}), frozenset())
    given = {"path": "/", "matcher": "200"}
    live = {"path": "/", "matcher": "200", "port": "traffic-port"}
    assert compare.settle(given, live, "healthCheck") == given
    assert compare.settle(given, live | {"path": "/x"}, "healthCheck") == given | {"path": "/x"}
    assert compare.settle(["a", "b"], ["b", "a"], "set") == ["a", "b"]
    assert compare.settle(["a", "b"], ["b", "c"], "set") == ["b", "c"]
    assert compare.settle(["a", "b"], ["b", "a"], "ordered") == ["b", "a"]
    assert compare.settle("", None, "text") == ""
    assert compare.settle("a", None, "text") is None


# ---- Mapping and wire ------------------------------------------------------------------------


def test_names_map_to_the_api_and_back_by_themselves(cloud: Cloud) -> None:
    shape = cloud.input_shape("rds", "create_db_cluster")
    given = {
        "dbSubnetGroupName": "s",
        "serverlessv2ScalingConfiguration": {"minCapacity": 1, "maxCapacity": 4},
        "vpcSecurityGroupIds": ["sg-1"],
        "tags": {"a": "b"},
    }
    assert to_api(given, shape, {}) == {
        "DBSubnetGroupName": "s",
        "ServerlessV2ScalingConfiguration": {"MinCapacity": 1.0, "MaxCapacity": 4.0},
        "VpcSecurityGroupIds": ["sg-1"],
        "Tags": [{"Key": "a", "Value": "b"}],
    }
    live = {"MinCapacity": 0.5, "MaxCapacity": 4.0}
    tree = {"minCapacity": "float", "maxCapacity": "float", "secondsUntilAutoPause": "int"}
    assert from_api(live, tree, {}) == {"minCapacity": 0.5, "maxCapacity": 4.0}
    assert from_api(
        [{"Key": "a", "Value": "b"}, {"Key": "aws:x", "Value": "y"}], {"*": "str"}, {}
    ) == {"a": "b"}


def test_unknowns_and_secrets_survive_the_wire() -> None:
    properties = {"password": "hidden", "list": [UNKNOWN, 1, 0.5, True], "block": {"a": None}}
    decoded, secrets = decode(encode(properties, {"password"}))
    assert decoded == {"password": "hidden", "list": [UNKNOWN, 1, 0.5, True], "block": {}}
    assert secrets == {"password"}


def test_types_follow_the_schema() -> None:
    assert coerce({"a": "1", "b": 2, "c": "true"}, {"a": "int", "b": "str", "c": "bool"}) == {
        "a": 1,
        "b": "2",
        "c": True,
    }
    assert coerce(UNKNOWN, "int") is UNKNOWN
