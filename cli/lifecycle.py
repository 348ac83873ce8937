"""What a change really does: in place, rolling, with a restart, replaced, removed, or forbidden.

The engine says `update` of a thousand different things. Here each is put into words, and what would
take data away is refused unless it was named. Functions of the engine's outcome; no cloud is asked.
"""

from __future__ import annotations

import re
import shlex
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from infra.errors import InputError, Problem, Problems, nearest

if TYPE_CHECKING:
    from cli.stack import Change, Outcome

ALLOW: Final = "--allow-data-replacement"

# What is gone when one of these is deleted or replaced. A cluster's instances are not among them:
# Aurora keeps the data with the cluster. Neither are log groups.
DATA: Final[Mapping[str, str]] = {
    "aws:rds/cluster:Cluster": "the database",
    "aws:rds/globalCluster:GlobalCluster": "the tie between the database's Regions",
    "aws:efs/fileSystem:FileSystem": "the shared files",
    "aws:s3/bucket:Bucket": "the bucket's objects",
    "aws:s3/bucketV2:BucketV2": "the bucket's objects",
    "aws:elasticache/replicationGroup:ReplicationGroup": "sessions and cached values",
    "aws:backup/vault:Vault": "the recovery points",
    "aws:sqs/queue:Queue": "the jobs that wait",
    "aws:kms/key:Key": "everything encrypted with the key",
    "aws:secretsmanager/secret:Secret": "the secret",
    "aws:dynamodb/table:Table": "the table's items",
}

_RESTART: Final = "in place, with a restart of the instance; its connections are cut once"
# What an update of these properties does; others change in place without being felt.
_UPDATES: Final[Mapping[str, Mapping[str, str]]] = {
    "aws:rds/clusterInstance:ClusterInstance": {
        "instanceClass": _RESTART + "; replicas that schedule or load added keep the old class "
        "until they go",
        "dbParameterGroupName": "in place; static parameters wait for a restart",
        "caCertIdentifier": _RESTART,
    },
    "aws:rds/cluster:Cluster": {
        "engineVersion": "in place, an upgrade of all instances at once: the database is away for "
        "minutes, and there is no way back but a restore",
        "port": "in place, with a restart of all instances",
        "dbClusterParameterGroupName": "in place; static parameters wait for a restart",
    },
    "aws:rds/subnetGroup:SubnetGroup": {
        "subnetIds": "in place; AWS refuses to take a subnet away while an instance is in it",
    },
    "aws:elasticache/replicationGroup:ReplicationGroup": {
        "nodeType": "in place: new nodes take over, connections are cut once",
        "engineVersion": "in place: nodes are upgraded one after the other",
    },
    "aws:lb/loadBalancer:LoadBalancer": {
        "subnets": "in place; zones come and go without an interruption",
    },
}
_TEMPLATE: Final = "aws:ec2/launchTemplate:LaunchTemplate"
_GROUP: Final = "aws:autoscaling/group:Group"
_DISTRIBUTION: Final = "aws:cloudfront/distribution:Distribution"
_RULE: Final = "aws:lb/listenerRule:ListenerRule"
# An origin key in an URN: it can be made anew, so nothing is lost with it. Its number comes last.
_ORIGIN_KEY: Final = re.compile(
    r"firstbell:origin_key:OriginKey\$aws:secretsmanager/"
    r"(?:secret:Secret|secretVersion:SecretVersion)::.*-(\d+)$"
)
# Operations of the engine that belong to one replacement; the first of them is shown.
_REPLACING: Final = frozenset({"replace", "create-replacement", "delete-replaced"})
_REMOVING: Final = frozenset({"delete"})


@dataclass(frozen=True)
class Effect:
    """What happens to one resource, in words; `loses` says which data goes with it."""

    urn: str
    name: str
    type: str
    words: str
    loses: str | None = None

    @property
    def handles(self) -> tuple[str, str, str]:
        """What a person may call it, shortest first; the last is never another's."""
        return self.name, f"{self.type}::{self.name}", self.urn

    def to_json(self) -> dict[str, object]:
        return {"name": self.name, "type": self.type, "what": self.words, "loses": self.loses}


def effects(outcome: Outcome) -> list[Effect]:
    """What happens to each resource that is already there; what is new needs no words."""
    found: dict[str, Effect] = {}
    # Which type replaces which is not in the events: a refreshed group follows its template.
    refreshes = {
        change.urn
        for change in outcome.changes
        if change.type == _GROUP and change.after.get("instanceRefresh")
    }
    made = {change.type for change in outcome.changes if change.operation == "create"}
    for change in outcome.changes:
        effect = _effect(change, rolling=change.urn in refreshes, first_cdn=_DISTRIBUTION in made)
        if effect is not None:
            found.setdefault(change.urn, effect)
    return list(found.values())


def _effect(change: Change, *, rolling: bool, first_cdn: bool) -> Effect | None:
    if not change.type.startswith("aws:"):
        return None
    data = None if _ORIGIN_KEY.search(change.urn) else DATA.get(change.type)
    if change.operation in _REPLACING:
        keys = ", ".join(sorted(p.path for p in change.properties if "replace" in p.kind))
        words = "replaced: a new one is made" + (f" for {keys}" if keys else "") + ", the old goes"
        return Effect(change.urn, change.name, change.type, words + _with(data), data)
    if change.operation in _REMOVING:
        return Effect(change.urn, change.name, change.type, "removed" + _with(data), data)
    if change.operation == "update":
        words = _update(change, rolling=rolling, first_cdn=first_cdn)
        return Effect(change.urn, change.name, change.type, words)
    return None


def _with(data: str | None) -> str:
    return f", and {data} with it" if data else ""


def _update(change: Change, *, rolling: bool, first_cdn: bool) -> str:
    changed = {re.split(r"[.\[]", entry.path)[0] for entry in change.properties}
    if change.type == _TEMPLATE and changed - {"tags", "tagsAll"}:
        return "a new version, in place; running instances keep the old one until they are replaced"
    if change.type == _GROUP and "mixedInstancesPolicy" in changed:
        return (
            "rolling: an instance refresh replaces the instances a few at a time"
            if rolling
            else "in place: new instances start with it, running ones stay as they are"
        )
    if change.type == _RULE and "conditions" in changed and first_cdn:
        return (
            "in place: who comes directly is refused from now on, and until the names lead through "
            "the CDN that is everybody; on a site that serves already write edge/serve_direct: "
            "true for this up"
        )
    special = _UPDATES.get(change.type, {})
    words = [text for prop, text in special.items() if prop in changed]
    return "; ".join(dict.fromkeys(words)) or "in place"


def refuse(
    found: Sequence[Effect],
    outcome: Outcome,
    allowed: Iterable[str],
    state: Callable[[], Iterable[Mapping[str, Any]]],
) -> None:
    """Refuse what takes data away and was not allowed, what AWS never does, and a key that goes
    while the CDN sends it. `state` reads the resources that are there.

    Raises:
        Problems: each resource that would lose data, and each forbidden change.
        InputError: a name was allowed of which nothing would lose data, or more than one thing.
    """
    named = allowed_urns(found, allowed)
    losing = [effect for effect in found if effect.loses]
    shared = _shared(losing)
    problems = [
        Problem(
            effect.name,
            f"would be {effect.words}",
            f"undo the change, or take a backup and add {_option(effect, shared)}",
        )
        for effect in losing
        if effect.urn not in named
    ]
    problems += [*_forbidden(outcome), *_keys_in_use(outcome, state)]
    if problems:
        raise Problems("what the stack would lose, or AWS forbids", problems)


def allowed_urns(found: Iterable[Effect], allowed: Iterable[str]) -> frozenset[str]:
    """The one resource that each of these names means, of those that would lose data.

    Raises:
        InputError: a name means nothing that would lose data, or several things: a file system and
            a bucket may share a name, and one of them may be meant to stay.
    """
    losing = [effect for effect in found if effect.loses]
    shared = _shared(losing)
    urns: set[str] = set()
    for name in sorted(set(allowed)):
        meant = [effect for effect in losing if name in effect.handles]
        if not meant:
            close = nearest(name, [handle for effect in losing for handle in effect.handles[:2]])
            raise InputError(
                f"nothing named {name!r} would lose data",
                where=ALLOW,
                fix=f"did you mean {close}?" if close else "leave the option out",
            )
        if len(meant) > 1:
            raise InputError(
                f"{len(meant)} things named {name!r} would lose data",
                where=ALLOW,
                fix="name the one that may go, or each: "
                + ", ".join(_option(effect, shared) for effect in meant),
            )
        urns.add(meant[0].urn)
    return frozenset(urns)


def _shared(losing: Iterable[Effect]) -> frozenset[str]:
    """Handles that would mean more than one of these."""
    counts = Counter(handle for effect in losing for handle in effect.handles)
    return frozenset(handle for handle, count in counts.items() if count > 1)


def _option(effect: Effect, shared: frozenset[str]) -> str:
    """The option that allows this one thing and no other, as a shell takes it."""
    handle = next(handle for handle in effect.handles if handle not in shared)
    return f"{ALLOW} {shlex.quote(handle)}"


def _forbidden(outcome: Outcome) -> Iterator[Problem]:
    """AWS never downgrades a database, and moves neither it nor a load balancer to another VPC."""
    replaced = [change for change in outcome.changes if change.operation in _REPLACING]
    vpcs = [change for change in replaced if change.type == "aws:ec2/vpc:Vpc"]
    for name in dict.fromkeys(change.name for change in vpcs):
        paths = {
            entry.path for change in vpcs if change.name == name for entry in change.properties
        }
        # What replaces a VPC for another reason is the Region, with everything else in it.
        what, key = (
            ("a VPC's block", "cidr")
            if "cidrBlock" in paths
            else ("a stack's Region", "aws:region")
        )
        yield Problem(
            name,
            f"forbidden: {what} cannot change, and load balancer and database cannot move to a new "
            "VPC",
            f"put the old {key} back; for another one make a second stack, restore the database "
            "there from a snapshot, and point the domain at it",
        )
    for change in outcome.changes:
        if change.type != "aws:rds/cluster:Cluster" or change.operation != "update":
            continue
        if all(entry.path != "engineVersion" for entry in change.properties):
            continue
        before, after = (_numbers(values) for values in (change.before, change.after))
        known = min(len(before), len(after))
        if after[:known] < before[:known]:
            yield Problem(
                change.name,
                f"forbidden: the engine cannot go back from version {'.'.join(map(str, before))} "
                f"to {'.'.join(map(str, after))}",
                "write the newer version, or restore a snapshot of before the upgrade",
            )


def _keys_in_use(
    outcome: Outcome, state: Callable[[], Iterable[Mapping[str, Any]]]
) -> Iterator[Problem]:
    """The CDN sends one key, everywhere until minutes after it has another: that one stays, and
    with its value, whichever others the load balancer lets go of."""
    ended = [change for change in outcome.changes if change.operation in _REMOVING | _REPLACING]
    going = {int(found[1]): c for c in ended if (found := _ORIGIN_KEY.search(c.urn))}
    if not going or any(
        change.type == _DISTRIBUTION and change.operation in _REMOVING for change in ended
    ):
        return
    for sent in sorted(_sent(state()) & going.keys()):
        yield Problem(
            going[sent].name,
            f"forbidden: the CDN sends key {sent}, and would for some minutes after the load "
            "balancer had let it go; every request would be refused",
            f"write edge/key_number: {sent} to leave the key, or {sent + 1} to change it",
        )


def _sent(resources: Iterable[Mapping[str, Any]]) -> set[int]:
    """The number of the key that the distribution was last given. Newer ones may be in the state:
    made by a run that failed before it came to the distribution."""
    return {
        int(found[1])
        for resource in resources
        if resource.get("type") == _DISTRIBUTION
        for urn in (resource.get("propertyDependencies") or {}).get("origins") or ()
        if (found := _ORIGIN_KEY.search(urn))
    }


def _numbers(values: Mapping[str, Any]) -> tuple[int, ...]:
    """An Aurora version's numbers: of 8.0.mysql_aurora.3.05 those are 8 and 0."""
    found = re.match(r"\d+(\.\d+)*", str(values.get("engineVersion") or ""))
    return tuple(int(part) for part in found.group().split(".")) if found else ()
