"""Puts a stack right after a run that was killed: its lock, and what it was creating.

The engine writes "creating X" into the state before it asks the provider, and the result after it.
So when it is killed, everything that may exist without being in the state is named there. Each of
these is looked for in the cloud, by its tags or by its name, and what is found is taken into the
state as if the engine had lived to write it; the refresh that every run begins with reads the rest.
Nothing is recognised by tags alone: instances and snapshots carry the stack's tags too.
"""

from __future__ import annotations

import json
import socket
import time
import zlib
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final
from urllib.parse import unquote, urlsplit

import filelock
import psutil
from botocore.exceptions import ClientError
from pulumi import automation

from infra import paths
from infra.errors import FirstbellError

PROJECT: Final = "firstbell"
# An engine whose firstbell was killed finishes what it has begun; RDS can take its time.
ORPHAN_SECONDS: Final = 120.0

Inputs = Mapping[str, Any]
Clients = Callable[[str], Any]
Progress = Callable[[str], None]


@dataclass(frozen=True)
class Recovery:
    """What was done. All empty when the last run ended well."""

    locks: tuple[str, ...] = ()
    adopted: tuple[str, ...] = ()
    """URNs taken into the state."""
    surplus: tuple[str, ...] = ()
    """Ids found beside an adopted one; the next run deletes them."""
    cleared: tuple[str, ...] = ()
    """URNs that were not created, or whose creation can be repeated without harm."""


def recover(
    stack: automation.Stack, back_end: str, client: Clients, progress: Progress
) -> Recovery:
    """Make a stack fit for the next run; call it before `up` and `destroy`.

    Args:
        back_end: the URL of Pulumi's state, file:// or s3://.
        client: makes a boto3 client for a service, in the stack's cloud and Region.

    Raises:
        FirstbellError: somebody else is working on the stack, or something that was being created
            cannot be looked for.
    """
    paths.home().mkdir(parents=True, exist_ok=True)
    with filelock.FileLock(paths.home() / f"recovery-{stack.name}.lock"):
        released = tuple(release_locks(back_end, stack.name, client, progress))
        state = stack.export_stack()
        deployment: dict[str, Any] = dict(state.deployment or {})
        pending = [
            operation["resource"]
            for operation in deployment.get("pending_operations") or []
            if operation["type"] == "creating" and operation["resource"].get("custom")
        ]
        if not deployment.get("pending_operations"):
            return Recovery(released)
        if pending:
            progress(f"looking for {len(pending)} resources that a killed run was creating")
        found, recovery = _resolve(deployment.get("resources") or [], pending, client)
        deployment["resources"] = found
        # Interrupted updates and deletions need nothing: the refresh sees how far they came.
        deployment["pending_operations"] = []
        state.deployment = deployment
        stack.import_stack(state)
    return Recovery(released, recovery.adopted, recovery.surplus, recovery.cleared)


# --- what was being created ----------------------------------------------------------------------


def _resolve(
    resources: list[dict[str, Any]], pending: Iterable[dict[str, Any]], client: Clients
) -> tuple[list[dict[str, Any]], Recovery]:
    """The state's resources with what was found."""
    adopted: list[str] = []
    surplus: list[str] = []
    cleared: list[str] = []
    # Runs that were killed one after another may each have noted the same creation.
    for creation in {resource["urn"]: resource for resource in pending}.values():
        urn, kind = creation["urn"], creation["type"]
        known = {r.get("id") for r in resources if r["type"] == kind}
        ids = [id for id in _ids(creation, client) if id not in known]
        if not ids:
            cleared.append(urn)
            continue
        # An old one that was deleted to make room is only noted, until the new one is there.
        resources = [r for r in resources if r["urn"] != urn or not r.get("pendingReplacement")]
        found = creation | {"outputs": creation.get("inputs", {})}
        if not any(r["urn"] == urn and not r.get("delete") for r in resources):
            adopted.append(urn)
            resources.append(found | {"id": ids.pop(0)})
        # The next run deletes what is marked so, dependents first.
        resources += [found | {"id": id, "delete": True} for id in ids]
        surplus += ids
    return resources, Recovery((), tuple(adopted), tuple(surplus), tuple(cleared))


def _ids(creation: Mapping[str, Any], client: Clients) -> list[str]:
    """Ids of the live things that a creation may have made, in order."""
    kind = creation["type"]
    if kind in REPEATABLE or kind.startswith("pulumi:providers:"):
        return []
    search = SEARCHES.get(kind)
    if search is None:
        raise FirstbellError(
            f"{creation['urn']} was being created when a run was killed",
            where="cli/recovery.py",
            why=f"firstbell does not know how to look for a {kind}",
            fix="see whether it exists; then pulumi refresh --import-pending-creates URN ID if it "
            "does, --clear-pending-creates if it does not",
        )
    try:
        return sorted(search(client, creation.get("inputs", {})))
    except ClientError as error:
        code = error.response.get("Error", {}).get("Code", "")
        if "NotFound" in code or code == "NoSuchEntity":
            return []
        raise FirstbellError(
            f"{creation['urn']} cannot be looked for: {error}",
            fix="mend the cause and run the command again",
        ) from error


Search = Callable[[Clients, Inputs], Iterable[str]]


def _tagged(prefix: str) -> Search:
    """Anything of EC2 whose ids begin so, by all the tags that it was to be created with."""

    def search(client: Clients, inputs: Inputs) -> Iterator[str]:
        wanted = {(key, value) for key, value in (inputs.get("tags") or {}).items()}
        if not wanted:
            return  # without tags anything would match
        # The name tells most apart; EC2 pages through the rest.
        key, value = next((tag for tag in sorted(wanted) if tag[0] == "Name"), min(wanted))
        candidates = {tag[0] for tag in _tags(client, key=key, value=value)}
        candidates = {id for id in candidates if id.startswith(f"{prefix}-")}
        if not candidates:
            return
        tags = list(_tags(client, **{"resource-id": candidates}))
        for id in candidates:
            if wanted <= {tag[1:] for tag in tags if tag[0] == id}:
                yield id

    return search


def _tags(client: Clients, **filters: str | set[str]) -> Iterator[tuple[str, str, str]]:
    """Resource id, key and value of EC2's tags."""
    asked = [
        {"Name": name, "Values": [value] if isinstance(value, str) else sorted(value)}
        for name, value in filters.items()
    ]
    for page in client("ec2").get_paginator("describe_tags").paginate(Filters=asked):
        for tag in page["Tags"]:
            yield tag["ResourceId"], tag["Key"], tag["Value"]


def _named(service: str, operation: str, member: str, name: str, where: str) -> Search:
    """Anything with a name, which is its id too. `where`: "list" or "one" name is asked for."""

    def search(client: Clients, inputs: Inputs) -> Iterator[str]:
        asked = inputs[name]
        answer = getattr(client(service), operation)(
            **{member: [asked] if where == "list" else asked}
        )
        things = [value for key, value in answer.items() if key != "ResponseMetadata"]
        return iter([asked] if any(things) else [])

    return search


def _of_group(operation: str, members: str, answer_key: str, name: str) -> Search:
    """A policy or scheduled action of an Auto Scaling group."""

    def search(client: Clients, inputs: Inputs) -> Iterator[str]:
        asked = {"AutoScalingGroupName": inputs["autoscalingGroupName"], members: [inputs[name]]}
        answer = getattr(client("autoscaling"), operation)(**asked)
        return iter([inputs[name]] if answer[answer_key] else [])

    return search


def _balancer(client: Clients, inputs: Inputs) -> Iterator[str]:
    found = client("elbv2").describe_load_balancers(Names=[inputs["name"]])
    return (balancer["LoadBalancerArn"] for balancer in found["LoadBalancers"])


def _target_group(client: Clients, inputs: Inputs) -> Iterator[str]:
    found = client("elbv2").describe_target_groups(Names=[inputs["name"]])
    return (group["TargetGroupArn"] for group in found["TargetGroups"])


def _listener(client: Clients, inputs: Inputs) -> Iterator[str]:
    found = client("elbv2").describe_listeners(LoadBalancerArn=inputs["loadBalancerArn"])
    return (
        listener["ListenerArn"]
        for listener in found["Listeners"]
        if listener["Port"] == inputs["port"]
    )


def _listener_rule(client: Clients, inputs: Inputs) -> Iterator[str]:
    found = client("elbv2").describe_rules(ListenerArn=inputs["listenerArn"])
    return (
        rule["RuleArn"] for rule in found["Rules"] if rule["Priority"] == str(inputs["priority"])
    )


def _certificate(client: Clients, inputs: Inputs) -> Iterator[str]:
    acm, wanted = client("acm"), inputs.get("tags") or {}
    for page in acm.get_paginator("list_certificates").paginate():
        for certificate in page["CertificateSummaryList"]:
            if certificate["DomainName"] == inputs["domainName"]:
                arn = certificate["CertificateArn"]
                tags = acm.list_tags_for_certificate(CertificateArn=arn)["Tags"]
                if wanted.items() <= {tag["Key"]: tag.get("Value") for tag in tags}.items():
                    yield arn


def _security_group_rule(*, egress: bool) -> Search:
    def search(client: Clients, inputs: Inputs) -> Iterator[str]:
        group = {"Name": "group-id", "Values": [inputs["securityGroupId"]]}
        found = client("ec2").describe_security_group_rules(Filters=[group])
        # EC2 gives -1 where a rule is for all ports.
        wanted = (
            inputs["ipProtocol"],
            inputs.get("fromPort", -1),
            inputs.get("toPort", -1),
            inputs.get("cidrIpv4"),
            inputs.get("cidrIpv6"),
            inputs.get("prefixListId"),
            inputs.get("referencedSecurityGroupId"),
        )
        for rule in found["SecurityGroupRules"]:
            there = (
                rule["IpProtocol"],
                rule.get("FromPort", -1),
                rule.get("ToPort", -1),
                rule.get("CidrIpv4"),
                rule.get("CidrIpv6"),
                rule.get("PrefixListId"),
                rule.get("ReferencedGroupInfo", {}).get("GroupId"),
            )
            if rule["IsEgress"] == egress and there == wanted:
                yield rule["SecurityGroupRuleId"]

    return search


def _route(client: Clients, inputs: Inputs) -> Iterator[str]:
    table = inputs["routeTableId"]
    destination = next(
        inputs[name]
        for name in ("destinationCidrBlock", "destinationIpv6CidrBlock", "destinationPrefixListId")
        if inputs.get(name)
    )
    keys = ("DestinationCidrBlock", "DestinationIpv6CidrBlock", "DestinationPrefixListId")
    for found in client("ec2").describe_route_tables(RouteTableIds=[table])["RouteTables"]:
        if any(route.get(key) == destination for route in found["Routes"] for key in keys):
            # As the AWS provider names it.
            yield f"r-{table}{zlib.crc32(destination.encode())}"


def _association(client: Clients, inputs: Inputs) -> Iterator[str]:
    by_subnet = {"Name": "association.subnet-id", "Values": [inputs["subnetId"]]}
    for table in client("ec2").describe_route_tables(Filters=[by_subnet])["RouteTables"]:
        for association in table["Associations"]:
            if (
                association.get("SubnetId") == inputs["subnetId"]
                and table["RouteTableId"] == inputs["routeTableId"]
            ):
                yield association["RouteTableAssociationId"]


def _scaling(operation: str, name: str | None, answer_key: str) -> Search:
    """Something of Application Auto Scaling; ids as the AWS provider gives them."""

    def search(client: Clients, inputs: Inputs) -> Iterator[str]:
        namespace, resource = inputs["serviceNamespace"], inputs["resourceId"]
        many = {"ResourceIds": [resource]} if name is None else {"ResourceId": resource}
        found = getattr(client("application-autoscaling"), operation)(
            ServiceNamespace=namespace, ScalableDimension=inputs["scalableDimension"], **many
        )[answer_key]
        if name is None:
            return iter([resource] if found else [])
        there = any(entry[name] == inputs["name"] for entry in found)
        whole = name == "ScheduledActionName"
        id = f"{inputs['name']}-{namespace}-{resource}" if whole else inputs["name"]
        return iter([id] if there else [])

    return search


# Doing it again changes nothing: there is one such thing by its key, and no id of its own.
REPEATABLE: Final = frozenset({"aws:iam/rolePolicyAttachment:RolePolicyAttachment"})

SEARCHES: Final[Mapping[str, Search]] = {
    "aws:ec2/vpc:Vpc": _tagged("vpc"),
    "aws:ec2/subnet:Subnet": _tagged("subnet"),
    "aws:ec2/internetGateway:InternetGateway": _tagged("igw"),
    "aws:ec2/routeTable:RouteTable": _tagged("rtb"),
    "aws:ec2/route:Route": _route,
    "aws:ec2/routeTableAssociation:RouteTableAssociation": _association,
    "aws:ec2/eip:Eip": _tagged("eipalloc"),
    "aws:ec2/natGateway:NatGateway": _tagged("nat"),
    "aws:ec2/securityGroup:SecurityGroup": _tagged("sg"),
    "aws:vpc/securityGroupIngressRule:SecurityGroupIngressRule": _security_group_rule(egress=False),
    "aws:vpc/securityGroupEgressRule:SecurityGroupEgressRule": _security_group_rule(egress=True),
    "aws:ec2/vpcEndpoint:VpcEndpoint": _tagged("vpce"),
    "aws:ec2/launchTemplate:LaunchTemplate": _tagged("lt"),
    "aws:iam/role:Role": _named("iam", "get_role", "RoleName", "name", "one"),
    "aws:iam/rolePolicy:RolePolicy": lambda client, inputs: (
        [f"{inputs['role']}:{inputs['name']}"]
        if client("iam").get_role_policy(RoleName=inputs["role"], PolicyName=inputs["name"])
        else []
    ),
    "aws:iam/instanceProfile:InstanceProfile": _named(
        "iam", "get_instance_profile", "InstanceProfileName", "name", "one"
    ),
    "aws:acm/certificate:Certificate": _certificate,
    "aws:lb/loadBalancer:LoadBalancer": _balancer,
    "aws:lb/targetGroup:TargetGroup": _target_group,
    "aws:lb/listener:Listener": _listener,
    "aws:lb/listenerRule:ListenerRule": _listener_rule,
    "aws:autoscaling/group:Group": _named(
        "autoscaling", "describe_auto_scaling_groups", "AutoScalingGroupNames", "name", "list"
    ),
    "aws:autoscaling/policy:Policy": _of_group(
        "describe_policies", "PolicyNames", "ScalingPolicies", "name"
    ),
    "aws:autoscaling/schedule:Schedule": _of_group(
        "describe_scheduled_actions",
        "ScheduledActionNames",
        "ScheduledUpdateGroupActions",
        "scheduledActionName",
    ),
    "aws:rds/subnetGroup:SubnetGroup": _named(
        "rds", "describe_db_subnet_groups", "DBSubnetGroupName", "name", "one"
    ),
    "aws:rds/clusterParameterGroup:ClusterParameterGroup": _named(
        "rds", "describe_db_cluster_parameter_groups", "DBClusterParameterGroupName", "name", "one"
    ),
    "aws:rds/cluster:Cluster": _named(
        "rds", "describe_db_clusters", "DBClusterIdentifier", "clusterIdentifier", "one"
    ),
    "aws:rds/clusterInstance:ClusterInstance": _named(
        "rds", "describe_db_instances", "DBInstanceIdentifier", "identifier", "one"
    ),
    "aws:appautoscaling/target:Target": _scaling(
        "describe_scalable_targets", None, "ScalableTargets"
    ),
    "aws:appautoscaling/policy:Policy": _scaling(
        "describe_scaling_policies", "PolicyName", "ScalingPolicies"
    ),
    "aws:appautoscaling/scheduledAction:ScheduledAction": _scaling(
        "describe_scheduled_actions", "ScheduledActionName", "ScheduledActions"
    ),
}


# --- locks ---------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Lock:
    """A lock of the back end, with the way to remove just this one."""

    pid: int
    host: str
    user: str
    since: str
    remove: Callable[[], object]

    def __str__(self) -> str:
        return f"process {self.pid} of {self.user} on {self.host}, since {self.since}"


def release_locks(back_end: str, stack: str, client: Clients, progress: Progress) -> Iterator[str]:
    """Remove the locks of dead engines of this host; wait for one whose firstbell is dead.

    Raises:
        FirstbellError: a lock is of a live run, or of another host.
    """
    for lock in _locks(back_end, stack, client):
        if lock.host == socket.gethostname():
            _wait_for_orphan(lock, progress)
            if _engine(lock.pid) is None:
                lock.remove()
                progress(f"removed the lock of {lock}, which is dead")
                yield str(lock)
                continue
        raise FirstbellError(
            "somebody else is working on this stack",
            where=f"stack {stack}",
            why=str(lock),
            fix="wait until they are done; when that process is dead and its host gone, "
            f"pulumi cancel -s {stack}",
        )


def _locks(back_end: str, stack: str, client: Clients) -> Iterator[Lock]:
    url = urlsplit(back_end)
    folder = f".pulumi/locks/organization/{PROJECT}/{stack}/"
    if url.scheme == "file":
        locks = Path(unquote(url.path)) / folder
        for path in sorted(locks.glob("*.json")):
            yield _lock(path.read_text(), path.unlink)
        for path in locks.glob("*.tmp"):
            # A lock that was half written when its engine was killed. It holds nothing, but the
            # engine would stumble over it. A living engine renames its own within the second.
            if time.time() - path.stat().st_mtime > 1:
                path.unlink(missing_ok=True)
    elif url.scheme == "s3":
        bucket, prefix = url.netloc, f"{url.path.strip('/')}/{folder}".lstrip("/")
        s3 = client("s3")
        for entry in s3.list_objects_v2(Bucket=bucket, Prefix=prefix).get("Contents", []):
            at = {"Bucket": bucket, "Key": entry["Key"]}
            text = s3.get_object(**at)["Body"].read().decode()
            yield _lock(text, lambda at=at: s3.delete_object(**at))


def _lock(text: str, remove: Callable[[], object]) -> Lock:
    record = json.loads(text)
    return Lock(
        pid=int(record["pid"]),
        host=str(record["hostname"]),
        user=str(record["username"]),
        since=str(record["timestamp"]),
        remove=remove,
    )


def _engine(pid: int) -> psutil.Process | None:
    """The engine with this process number, if it lives; numbers are given out again."""
    try:
        process = psutil.Process(pid)
        alive = process.status() != psutil.STATUS_ZOMBIE and "pulumi" in process.name()
    except psutil.NoSuchProcess:
        return None
    return process if alive else None


def _wait_for_orphan(lock: Lock, progress: Progress) -> None:
    """Let an engine finish whose firstbell was killed: it is recognised by its parent's absence."""
    deadline = time.monotonic() + ORPHAN_SECONDS
    while (engine := _engine(lock.pid)) is not None and _program_is_gone(engine):
        if time.monotonic() > deadline:
            return
        progress(f"waiting for the engine of a killed run to finish ({lock})")
        time.sleep(0.5)


def _program_is_gone(engine: psutil.Process) -> bool:
    """Whether nobody listens where the engine was told to find its program."""
    try:
        told = [word for word in engine.cmdline() if word.startswith("--client=")]
    except psutil.NoSuchProcess:
        return True
    for word in told:
        host, _, port = word.removeprefix("--client=").rpartition(":")
        with socket.socket() as probe:
            probe.settimeout(1)
            return probe.connect_ex((host, int(port))) != 0
    return False
