"""What the engine calls update or replace, in words; and what may not happen unnamed."""

from __future__ import annotations

from typing import Any

import pytest

from cli.lifecycle import Effect, allowed_urns, effects
from cli.lifecycle import refuse as refuse_by_state
from cli.stack import Change, Outcome, PropertyChange
from infra.errors import InputError, Problems

CLUSTER = "aws:rds/cluster:Cluster"
SECRET = "aws:secretsmanager/secret:Secret"
VERSION = "aws:secretsmanager/secretVersion:SecretVersion"
DISTRIBUTION = "aws:cloudfront/distribution:Distribution"


def change(
    operation: str,
    kind: str,
    name: str = "demo-database",
    *paths: str,
    before: dict[str, Any] | None = None,
    after: dict[str, Any] | None = None,
) -> Change:
    how = "update-replace" if "replace" in operation else "update"
    return Change(
        operation,
        f"urn:pulumi:demo::firstbell::{kind}::{name}",
        kind,
        name,
        tuple(PropertyChange(path, how) for path in paths),
        before or {},
        after or {},
    )


def outcome(*changes: Change) -> Outcome:
    return Outcome(changes, 0)


def refuse(
    found: list[Effect], of: Outcome, allowed: list[str], *keys: int, sent: int | None = None
) -> None:
    """`keys` are the numbers of the origin keys in the state, `sent` that of the distribution."""
    state: list[dict[str, Any]] = [
        {"urn": origin_key("same", number, kind).urn, "type": kind}
        for number in keys
        for kind in (SECRET, VERSION)
    ]
    if sent is not None:
        origins = ["urn:pulumi:demo::firstbell::aws:lb/loadBalancer:LoadBalancer::demo"]
        origins.append(origin_key("same", sent, VERSION).urn)
        state.append(
            {"urn": "x", "type": DISTRIBUTION, "propertyDependencies": {"origins": origins}}
        )
    refuse_by_state(found, of, allowed, lambda: state)


def origin_key(operation: str, number: int, kind: str = SECRET) -> Change:
    name = f"demo-origin-{number}"
    urn = f"urn:pulumi:demo::firstbell::firstbell:origin_key:OriginKey${kind}::{name}"
    return Change(operation, urn, kind, name)


def words(entry: Change) -> str:
    (effect,) = effects(outcome(entry))
    return effect.words


@pytest.mark.parametrize(
    ("kind", "path", "expected"),
    [
        ("aws:rds/clusterInstance:ClusterInstance", "instanceClass", "with a restart"),
        (CLUSTER, "engineVersion", "no way back but a restore"),
        (CLUSTER, "backupRetentionPeriod", "in place"),
        ("aws:rds/subnetGroup:SubnetGroup", "subnetIds[2]", "while an instance is in it"),
        ("aws:ec2/launchTemplate:LaunchTemplate", "imageId", "a new version"),
        ("aws:autoscaling/group:Group", "mixedInstancesPolicy.launchTemplate", "in place: new"),
        ("aws:lb/loadBalancer:LoadBalancer", "subnets", "without an interruption"),
    ],
)
def test_an_update_is_said_as_it_is_felt(kind: str, path: str, expected: str) -> None:
    assert expected in words(change("update", kind, "x", path))


def test_a_group_with_an_instance_refresh_rolls() -> None:
    entry = change(
        "update",
        "aws:autoscaling/group:Group",
        "x",
        "mixedInstancesPolicy",
        after={"instanceRefresh": {"strategy": "Rolling"}},
    )
    assert words(entry).startswith("rolling")


RULE = "aws:lb/listenerRule:ListenerRule"


def test_a_first_cdn_that_shuts_out_who_comes_directly_is_told() -> None:
    """The names lead through it minutes later."""
    rule = change("update", RULE, "demo-web", "conditions[1]")
    first = change("create", DISTRIBUTION, "demo-edge")
    (effect,) = effects(outcome(first, rule))
    assert "write edge/serve_direct: true" in effect.words


@pytest.mark.parametrize(
    ("distribution", "path"),
    [("create", "tags.owner"), ("update", "conditions[1]"), ("replace", "conditions[1]")],
)
def test_another_change_of_a_rule_or_of_the_cdn_shuts_nobody_out(
    distribution: str, path: str
) -> None:
    rule = change("update", RULE, "demo-web", path)
    there = change(distribution, DISTRIBUTION, "demo-edge")
    (found,) = (e for e in effects(outcome(there, rule)) if e.type == RULE)
    assert found.words == "in place"


def test_a_replacement_is_told_once_with_what_forces_it() -> None:
    entries = [
        change(operation, "aws:ec2/vpc:Vpc", "demo", "cidrBlock")
        for operation in ("create-replacement", "replace", "delete-replaced")
    ]
    (effect,) = effects(outcome(*entries))
    assert effect.words == "replaced: a new one is made for cidrBlock, the old goes"
    assert effect.loses is None


@pytest.mark.parametrize("operation", ["create-replacement", "delete"])
@pytest.mark.parametrize(
    "kind",
    [
        CLUSTER,
        "aws:efs/fileSystem:FileSystem",
        "aws:s3/bucket:Bucket",
        "aws:elasticache/replicationGroup:ReplicationGroup",
        "aws:backup/vault:Vault",
        "aws:sqs/queue:Queue",
    ],
)
def test_what_holds_data_goes_only_by_name(kind: str, operation: str) -> None:
    found = outcome(change(operation, kind))
    with pytest.raises(Problems) as caught:
        refuse(effects(found), found, [])
    assert caught.value.exit_code == 2
    assert "--allow-data-replacement demo-database" in str(caught.value)
    refuse(effects(found), found, ["demo-database"])


def test_what_holds_no_data_goes_unasked() -> None:
    found = outcome(
        change("delete", "aws:rds/clusterInstance:ClusterInstance"),
        change("replace", "aws:ec2/subnet:Subnet"),
        change("update", CLUSTER, "demo-database", "backupRetentionPeriod"),
    )
    refuse(effects(found), found, [])


def test_a_name_of_which_nothing_is_lost_is_refused_with_the_nearest() -> None:
    found = outcome(change("delete", CLUSTER))
    with pytest.raises(InputError, match="'demo-databse' would lose data") as caught:
        refuse(effects(found), found, ["demo-databse"])
    assert caught.value.fix == "did you mean demo-database?"
    with pytest.raises(InputError, match="leave the option out"):
        refuse([], outcome(), ["demo-database"])


@pytest.mark.parametrize(
    ("before", "after", "forbidden"),
    [
        ({"engineVersion": "16", "engineVersionActual": "16.6"}, {"engineVersion": "15"}, True),
        ({"engineVersion": "15", "engineVersionActual": "15.8"}, {"engineVersion": "16"}, False),
        ({"engineVersion": "16.6"}, {"engineVersion": "16"}, False),
        ({"engineVersion": "8.0"}, {"engineVersion": "5.7.mysql_aurora.2.11"}, True),
    ],
)
def test_a_database_is_upgraded_and_never_downgraded(
    before: dict[str, Any], after: dict[str, Any], forbidden: bool
) -> None:
    found = outcome(
        change("update", CLUSTER, "demo-database", "engineVersion", before=before, after=after)
    )
    if not forbidden:
        refuse(effects(found), found, [])
        return
    with pytest.raises(Problems, match="cannot go back"):
        refuse(effects(found), found, [])


def test_a_vpc_is_never_replaced_since_balancer_and_database_cannot_move() -> None:
    found = outcome(change("replace", "aws:ec2/vpc:Vpc", "demo", "cidrBlock"))
    with pytest.raises(Problems, match=r"demo: forbidden: a VPC's block cannot .* old cidr back"):
        refuse(effects(found), found, [])


def test_a_stack_never_moves_to_another_region() -> None:
    found = outcome(change("replace", "aws:ec2/vpc:Vpc", "demo", "region"))
    with pytest.raises(Problems, match=r"a stack's Region cannot .* the old aws:region back"):
        refuse(effects(found), found, [])


@pytest.mark.parametrize(
    ("there", "sent", "made", "gone"),
    [
        ((1,), 1, (2,), ()),
        ((2, 1), 2, (3,), (1,)),
        ((3, 2, 1), 3, (), (1,)),
        ((2, 1), 1, (), (2,)),
        ((3, 2, 1), 2, (), (1,)),
    ],
    ids=[
        "first",
        "later",
        "killed before the last step",
        "back before the CDN had it",
        "the rest of a run that failed at the CDN",
    ],
)
def test_an_origin_key_changes_by_one_and_takes_no_data_along(
    there: tuple[int, ...], sent: int, made: tuple[int, ...], gone: tuple[int, ...]
) -> None:
    changes = [origin_key("create", n) for n in made] + [origin_key("delete", n) for n in gone]
    found = outcome(*changes, change("update", DISTRIBUTION, "demo-edge", "origins"))
    refuse(effects(found), found, [], *there, sent=sent)


@pytest.mark.parametrize(
    ("there", "sent", "made", "gone"),
    [
        ((1,), 1, (3, 2), (1,)),
        ((2, 1), 2, (), (2,)),
        ((3, 2), 3, (1,), (3,)),
        ((2, 1), 2, (5, 4), (2, 1)),
        ((2, 1), 1, (3,), (1,)),
        ((3, 2, 1), 2, (4,), (2, 1)),
    ],
    ids=[
        "one skipped",
        "back",
        "back later",
        "many skipped",
        "on, after a run that failed at the CDN",
        "on, after a later run that failed at the CDN",
    ],
)
def test_a_key_that_the_cdn_sends_stays_until_it_sends_another(
    there: tuple[int, ...], sent: int, made: tuple[int, ...], gone: tuple[int, ...]
) -> None:
    changes = [origin_key("create", n) for n in made] + [origin_key("delete", n) for n in gone]
    found = outcome(*changes, change("update", DISTRIBUTION, "demo-edge", "origins"))
    with pytest.raises(Problems, match=f"demo-origin-{sent}: forbidden: the CDN") as caught:
        refuse(effects(found), found, [], *there, sent=sent)
    assert f"edge/key_number: {sent} to leave the key, or {sent + 1}" in str(caught.value)
    # With the CDN they all go.
    found = outcome(*changes, change("delete", DISTRIBUTION, "demo-edge"))
    refuse(effects(found), found, [], *there, sent=sent)


@pytest.mark.parametrize("kind", [SECRET, VERSION])
def test_the_key_that_the_cdn_sends_is_not_replaced_by_one_of_another_value(kind: str) -> None:
    found = outcome(origin_key("create-replacement", 2, kind), origin_key("replace", 2, kind))
    with pytest.raises(Problems, match="demo-origin-2: forbidden: the CDN sends key 2"):
        refuse(effects(found), found, [], 3, 2, sent=2)
    refuse(effects(found), found, [], 3, 2, sent=3)


def test_a_secret_that_is_no_origin_key_goes_only_by_name() -> None:
    found = outcome(change("delete", SECRET, "demo-cache"))
    with pytest.raises(Problems, match="--allow-data-replacement demo-cache"):
        refuse(effects(found), found, [])


FILE_SYSTEM = "aws:efs/fileSystem:FileSystem"
BUCKET = "aws:s3/bucket:Bucket"


def of_files(*kinds: str, operation: str = "delete") -> Outcome:
    """What `files` makes under one name, below the components that it really stands in."""
    parents = {
        FILE_SYSTEM: "firstbell:files:Files$",
        BUCKET: "firstbell:files:Files$firstbell:bucket:ClosedBucket$",
    }
    return outcome(
        *(
            Change(
                operation,
                f"urn:pulumi:demo::firstbell::{parents[kind]}{kind}::demo-files",
                kind,
                "demo-files",
                (),
                {},
                {},
            )
            for kind in kinds
        )
    )


@pytest.mark.parametrize("operation", ["delete", "create-replacement"])
def test_a_name_that_two_things_have_allows_neither(operation: str) -> None:
    both = of_files(FILE_SYSTEM, BUCKET, operation=operation)
    with pytest.raises(InputError, match="2 things named 'demo-files' would lose data") as caught:
        refuse(effects(both), both, ["demo-files"])
    assert caught.value.fix == (
        "name the one that may go, or each: "
        f"--allow-data-replacement {FILE_SYSTEM}::demo-files, "
        f"--allow-data-replacement {BUCKET}::demo-files"
    )
    assert caught.value.exit_code == 2


@pytest.mark.parametrize("kind", [FILE_SYSTEM, BUCKET])
def test_what_a_refusal_prints_allows_exactly_that_one_thing(kind: str) -> None:
    both = of_files(FILE_SYSTEM, BUCKET)
    with pytest.raises(Problems) as caught:
        refuse(effects(both), both, [])
    for found in (FILE_SYSTEM, BUCKET):
        assert f"add --allow-data-replacement {found}::demo-files" in str(caught.value)
    with pytest.raises(Problems) as caught:
        refuse(effects(both), both, [f"{kind}::demo-files"])
    (left,) = caught.value.problems
    other = BUCKET if kind == FILE_SYSTEM else FILE_SYSTEM
    assert left.fix is not None
    assert left.fix.endswith(f"--allow-data-replacement {other}::demo-files")
    refuse(effects(both), both, [f"{FILE_SYSTEM}::demo-files", f"{BUCKET}::demo-files"])


def test_a_name_is_enough_where_only_one_of_those_that_share_it_loses_data() -> None:
    stays = Change("update", of_files(BUCKET).changes[0].urn, BUCKET, "demo-files", (), {}, {})
    found = outcome(*of_files(FILE_SYSTEM).changes, stays)
    for name in ("demo-files", f"{FILE_SYSTEM}::demo-files"):
        assert allowed_urns(effects(found), [name]) == {found.changes[0].urn}
    with pytest.raises(InputError, match="nothing named") as caught:
        refuse(effects(found), found, [f"{BUCKET}::demo-files"])
    assert caught.value.fix is not None


def test_things_of_one_type_and_name_below_two_parents_are_told_apart_by_urn() -> None:
    twins = [
        Change("delete", f"urn:pulumi:demo::firstbell::{part}${BUCKET}::x", BUCKET, "x", (), {}, {})
        for part in ("a:b:C", "d:e:F")
    ]
    found = outcome(*twins)
    with pytest.raises(InputError, match="2 things") as caught:
        refuse(effects(found), found, [f"{BUCKET}::x"])
    # Quoted, since a shell would take what follows the dollar for a variable.
    assert f"--allow-data-replacement '{twins[0].urn}'" in str(caught.value.fix)
    assert allowed_urns(effects(found), [twins[0].urn]) == {twins[0].urn}
