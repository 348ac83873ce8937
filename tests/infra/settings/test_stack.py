"""What a stack's file may say, and how it is told that it is wrong."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from infra.errors import InputError, Problems
from infra.settings.stack import read_stack
from tests.conftest import WriteStack

PLATFORM = "firstbell:platform"


def platform(**settings: Any) -> dict[str, Any]:
    return {PLATFORM: {"domain": "lms.example.org"} | settings}


def problems(write_stack: WriteStack, **config: Any) -> list[str]:
    write_stack(**config)
    with pytest.raises(Problems) as caught:
        read_stack("tiny")
    assert caught.value.exit_code == 2
    return [str(problem) for problem in caught.value.problems]


def test_the_smallest_stack_is_safe_by_default(write_stack: WriteStack) -> None:
    write_stack()
    settings = read_stack("tiny")
    assert settings.cloud == "local"
    assert settings.platform.database.deletion_protection
    assert settings.platform.network.nat == "zone"
    assert list(settings.platform.tiers) == ["web"]
    assert settings.season_file is None


def test_an_unknown_stack_names_the_nearest_one(write_stack: WriteStack) -> None:
    write_stack("demo")
    with pytest.raises(InputError, match="no stack 'dmeo'") as caught:
        read_stack("dmeo")
    assert caught.value.fix == "did you mean -s demo?"


def test_a_misspelt_key_names_the_nearest_one_at_every_depth(write_stack: WriteStack) -> None:
    found = problems(
        write_stack,
        **{"firstbell:sesaon": "x"},
        **platform(tiers={"web": {"mni": 3}}, netwrok={}),
    )
    assert found == [
        "firstbell:sesaon: unknown key (did you mean 'firstbell:season'?)",
        "firstbell:platform/tiers/web/mni: unknown key 'mni' (did you mean 'min'?)",
        "firstbell:platform/netwrok: unknown key 'netwrok' (did you mean 'network'?)",
    ]


@pytest.mark.parametrize("cloud", ["local", "aws"])
def test_a_region_of_another_partition_is_refused_and_those_beside_it_are_not(
    write_stack: WriteStack, cloud: str
) -> None:
    """Its ARNs would be wrong: `up` would fail at the first role."""
    stack = {"firstbell:cloud": cloud, "aws:allowedAccountIds": ["111122223333"]}
    tiers = platform(
        tiers={"web": {"image": "ami-0123456789abcdef0"}},
        dns={"zone": "example.org", "zone_id": "Z0123456789"},
    )
    for region in ("cn-north-1", "us-gov-west-1"):
        found, *_ = problems(write_stack, **{"aws:region": region}, **stack, **tiers)
        assert f"aws:region: {region!r} is no Region of AWS's commercial partition" in found
    for region in ("us-west-1", "eu-south-1"):
        write_stack(**{"aws:region": region}, **stack, **tiers)
        assert read_stack("tiny").region == region


def test_all_problems_of_a_file_are_reported_together(write_stack: WriteStack) -> None:
    found = problems(
        write_stack,
        **{"aws:region": "eu-nort-1"},
        **platform(
            tiers={"web": {"min": 5, "max": 4}},
            database={"backup_days": 3, "replicas": {"max": 16}},
        ),
    )
    assert found == [
        "aws:region: 'eu-nort-1' is no known Region (did you mean 'eu-north-1'?)",
        "firstbell:platform/tiers/web: min 5 is greater than max 4 (lower min or raise max)",
        "firstbell:platform/database/replicas/max: input should be less than or equal to 15, "
        "not 16 (write 15 or less)",
        "firstbell:platform/database/backup_days: input should be greater than or equal to 7, "
        "not 3 (write 7 or more)",
    ]


@pytest.mark.parametrize(
    ("network", "complaint"),
    [
        ({"cidr": "10.0.0.0/25"}, "too small for 3 subnets in each of 3 zones"),
        ({"cidr": "10.0.0.0/8"}, "must be between /16 and /28"),
        ({"cidr": "10.0.0.1/16"}, "has host bits set"),
        ({"cidr": "fd00::/48"}, "must be an IPv4 block"),
        ({"zones": 1}, "greater than or equal to 2"),
    ],
)
def test_a_network_that_aws_would_refuse_is_refused(
    write_stack: WriteStack, network: dict[str, Any], complaint: str
) -> None:
    (found,) = problems(write_stack, **platform(network=network))
    assert complaint in found


def test_the_smallest_network_that_fits_is_taken(write_stack: WriteStack) -> None:
    write_stack(**platform(network={"cidr": "10.0.0.0/24"}))
    assert read_stack("tiny").platform.network.subnet_prefix == 28


def test_an_unknown_instance_type_names_the_nearest_one(write_stack: WriteStack) -> None:
    (found,) = problems(write_stack, **platform(tiers={"web": {"instance_types": ["m7i.lage"]}}))
    assert "'m7i.lage' is no known instance type" in found
    assert "did you mean 'm7i.large'?" in found


def test_an_instance_type_that_the_region_lacks_is_refused(write_stack: WriteStack) -> None:
    (found,) = problems(write_stack, **{"aws:region": "me-south-1"}, **platform())
    assert "instance type 'm7i.large' is not offered in me-south-1" in found


def test_an_unknown_database_class_is_refused(write_stack: WriteStack) -> None:
    (found,) = problems(write_stack, **platform(database={"instance_class": "db.m5.large"}))
    assert "'db.m5.large' is no known aurora-postgresql instance class" in found


def test_an_aws_stack_needs_the_accounts_it_may_go_to(write_stack: WriteStack) -> None:
    accounts, certificate, image = problems(write_stack, **{"firstbell:cloud": "aws"}, **platform())
    assert accounts.startswith("aws:allowedAccountIds: is missing, and with cloud: aws it is")
    assert certificate.startswith("firstbell:platform/certificate_arn: is missing")
    assert image.startswith("firstbell:platform/tiers/web/image: is missing")


def test_an_aws_stack_can_be_tried_on_the_local_cloud(write_stack: WriteStack) -> None:
    write_stack(**{"firstbell:cloud": "aws"}, **platform())
    assert read_stack("tiny", cloud="local").cloud == "local"


@pytest.mark.parametrize(
    ("tiers", "complaint"),
    [
        ({"a": {}, "b": {}}, "exactly one tier takes what no other claims"),
        ({"a": {"hosts": ["x.org"]}}, "exactly one tier takes what no other claims"),
        ({"database": {}}, "database is a season's own name for another part"),
        ({"a": {"hosts": [f"{i}.org" for i in range(6)]}, "b": {}}, "AWS allows 5"),
        ({"Web": {}}, "should match pattern"),
    ],
)
def test_tiers_that_cannot_share_a_balancer_are_refused(
    write_stack: WriteStack, tiers: dict[str, Any], complaint: str
) -> None:
    found = problems(write_stack, **platform(tiers=tiers))
    assert complaint in found[0]


def test_names_too_long_for_a_target_group_are_refused(write_stack: WriteStack) -> None:
    write_stack("a-very-long-stack-name", **platform())
    with pytest.raises(Problems, match="have more than 23 characters"):
        read_stack("a-very-long-stack-name")


def test_a_file_that_is_no_yaml_is_named(stacks: Path) -> None:
    (stacks / "Pulumi.bad.yaml").write_text("config: [")
    with pytest.raises(InputError, match="not valid YAML"):
        read_stack("bad")


@pytest.mark.parametrize(
    ("config", "expected"),
    [
        ({"aws:region": ["eu-north-1"]}, "aws:region: must be a Region's name, not ['eu-north-1']"),
        ({"firstbell:season": ""}, "firstbell:season: must be a path relative to stacks/, not ''"),
        ({"firstbell:season": ["a"]}, "firstbell:season: must be a path relative to stacks/"),
        ({PLATFORM: None}, "firstbell:platform: is missing (add it)"),
        ({PLATFORM: "x"}, "firstbell:platform: must be a mapping of keys to values, not 'x'"),
        (platform(tiers=["web"]), "firstbell:platform/tiers: must be a mapping"),
    ],
)
def test_a_value_of_the_wrong_shape_is_named(
    write_stack: WriteStack, config: dict[str, Any], expected: str
) -> None:
    (problem,) = problems(write_stack, **config)
    assert problem.startswith(expected)


@pytest.mark.parametrize("region", ["Stockholm", "eu-north-1a", "EU-NORTH-1"])
def test_what_has_not_the_form_of_a_region_is_none_on_aws_either(
    write_stack: WriteStack, region: str
) -> None:
    """And hides nothing that is missing besides."""
    on_aws = {"firstbell:cloud": "aws", "aws:allowedAccountIds": ["111122223333"]}
    found = problems(write_stack, **on_aws, **{"aws:region": region}, **platform())
    assert found[0].startswith(f"aws:region: {region!r} is no known Region")
    assert [text.split(": ")[0] for text in found[1:]] == [
        "firstbell:platform/certificate_arn",
        "firstbell:platform/tiers/web/image",
    ]


@pytest.mark.parametrize("accounts", [111122223333, "111122223333", [111122223333], ["1111"]])
def test_an_account_id_that_is_no_list_of_quoted_ids_is_refused(
    write_stack: WriteStack, accounts: object
) -> None:
    (problem,) = problems(
        write_stack,
        **{"firstbell:cloud": "aws", "aws:allowedAccountIds": accounts},
        **platform(
            certificate_arn="arn:aws:acm:eu-north-1:111122223333:certificate/ID",
            tiers={"web": {"image": "ami-0123456789abcdef0"}},
        ),
    )
    assert problem.startswith("aws:allowedAccountIds: ")
    assert "each of twelve digits in quotes" in problem


@pytest.mark.parametrize("name", ["My-stack", "my_stack", "1st", "a--b", "a-"])
def test_a_stack_name_that_aws_has_no_names_for_is_refused(
    write_stack: WriteStack, name: str
) -> None:
    write_stack(name)
    with pytest.raises(Problems, match="small letters, digits and single hyphens"):
        read_stack(name)


def test_a_stack_and_tier_name_may_just_fill_a_target_groups_name(write_stack: WriteStack) -> None:
    write_stack("a" * 20)
    assert len(f"{'a' * 20}-web-1234567") == 32
    read_stack("a" * 20)
    write_stack("a" * 21)
    with pytest.raises(Problems, match="more than 23 characters"):
        read_stack("a" * 21)


def test_an_arm_machine_does_not_get_the_default_image(write_stack: WriteStack) -> None:
    tier = {"instance_types": ["m7g.large"]}
    (problem,) = problems(write_stack, **platform(tiers={"web": tier}))
    assert "m7g.large is an Arm machine" in problem
    write_stack(**platform(tiers={"web": tier | {"image": "ami-0123456789abcdef0"}}))
    assert read_stack("tiny").platform.tiers["web"].instance_types == ("m7g.large",)
