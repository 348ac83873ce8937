"""Puts a stack right after a run that was killed: its lock, and what it was creating.

The engine writes "creating X" into the state before it asks the provider, and the result after it.
So when it is killed, everything that may exist without being in the state is named there. Each of
these is looked for in the cloud, by its tags or by its name, and what is found is taken into the
state as if the engine had lived to write it; the refresh that every run begins with reads the rest.
Nothing is recognised by tags alone: instances and snapshots carry the stack's tags too.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import filelock
from botocore.exceptions import ClientError
from pulumi import automation

from cli.recovery.locks import Progress, release_locks
from cli.recovery.searches import REPEATABLE, SEARCHES, Clients
from infra import paths
from infra.errors import FirstbellError


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
    stack: automation.Stack, back_end: str, client: Callable[..., Any], progress: Progress
) -> Recovery:
    """Make a stack fit for the next run; call it before `up` and `destroy`.

    Args:
        back_end: the URL of Pulumi's state, file:// or s3://.
        client: makes a boto3 client for a service, in the stack's cloud and its Region, or in the
            one given as `region`.

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
    resources: list[dict[str, Any]], pending: Iterable[dict[str, Any]], client: Callable[..., Any]
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


def _where(creation: Mapping[str, Any], client: Callable[..., Any]) -> Clients:
    """Clients in the Region of what was being created, where its own is said."""
    region = creation.get("inputs", {}).get("region")
    return functools.partial(client, region=region) if region else client


def _ids(creation: Mapping[str, Any], client: Callable[..., Any]) -> list[str]:
    """Ids of the live things that a creation may have made, in order."""
    kind = creation["type"]
    if kind in REPEATABLE or kind.startswith("pulumi:providers:"):
        return []
    search = SEARCHES.get(kind)
    if search is None:
        raise FirstbellError(
            f"{creation['urn']} was being created when a run was killed",
            where="cli/recovery/searches/",
            why=f"firstbell does not know how to look for a {kind}",
            fix="see whether it exists; then pulumi refresh --import-pending-creates URN ID if it "
            "does, --clear-pending-creates if it does not",
        )
    try:
        return sorted(search(_where(creation, client), creation.get("inputs", {})))
    except ClientError as error:
        code = error.response.get("Error", {}).get("Code", "")
        if "NotFound" in code or "NonexistentItem" in code or code.startswith("NoSuch"):
            return []
        raise FirstbellError(
            f"{creation['urn']} cannot be looked for: {error}",
            fix="mend the cause and run the command again",
        ) from error
