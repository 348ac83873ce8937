"""Sends users to a side by the weights of two Route 53 records."""

from __future__ import annotations

import time
from typing import Any, Final

import boto3
from botocore.exceptions import BotoCoreError, ClientError

from cli.migration.engine import Finding
from cli.migration.spec import Route53
from infra.errors import FirstbellError

_ALL: Final = 100
_IN_SYNC_SECONDS: Final = 120.0
_LOOK_SECONDS: Final = 1.0


def records(wanted: Route53) -> dict[str, dict[str, Any]]:
    """The two weighted records as Route 53 has them, by side.

    Raises:
        FirstbellError: one is missing or not weighted, or Route 53 cannot be asked.
    """
    try:
        pages = boto3.client("route53").get_paginator("list_resource_record_sets")
        found: dict[str, dict[str, Any]] = {}
        for page in pages.paginate(HostedZoneId=wanted.zone_id, StartRecordName=wanted.name):
            for record in page["ResourceRecordSets"]:
                if (
                    record["Name"].rstrip(".") == wanted.name.rstrip(".")
                    and record["Type"] == wanted.type
                ):
                    found[str(record.get("SetIdentifier"))] = dict(record)
    except (BotoCoreError, ClientError) as error:
        raise FirstbellError("Route 53 cannot be asked", why=str(error)) from error
    sides = {"source": wanted.source, "target": wanted.target}
    for side, identifier in sides.items():
        if "Weight" not in found.get(identifier, {}):
            raise FirstbellError(
                f"{wanted.name} {wanted.type} has no weighted record {identifier!r} ({side})",
                where=f"hosted zone {wanted.zone_id}",
                fix="create both records with weights; give the source's all of it",
            )
    return {side: found[identifier] for side, identifier in sides.items()}


def send_to(wanted: Route53, side: str) -> dict[str, int]:
    """Give one side all the weight, in one change, and wait until every name server has it.

    Raises:
        FirstbellError: the records are not there, or Route 53 does not take the change.
    """
    weights = {name: _ALL if name == side else 0 for name in ("source", "target")}
    found = records(wanted)
    if {name: record["Weight"] for name, record in found.items()} == weights:
        return weights
    client = boto3.client("route53")
    try:
        answer = client.change_resource_record_sets(
            HostedZoneId=wanted.zone_id,
            ChangeBatch={
                "Comment": f"firstbell: users to the {side}",
                "Changes": [
                    {
                        "Action": "UPSERT",
                        "ResourceRecordSet": {**record, "Weight": weights[name]},
                    }
                    for name, record in found.items()
                ],
            },
        )
        deadline = time.monotonic() + _IN_SYNC_SECONDS
        while client.get_change(Id=answer["ChangeInfo"]["Id"])["ChangeInfo"]["Status"] != "INSYNC":
            if time.monotonic() > deadline:
                raise FirstbellError(f"Route 53 did not carry out the change to the {side}")
            time.sleep(_LOOK_SECONDS)
    except (BotoCoreError, ClientError) as error:
        raise FirstbellError("Route 53 does not take the change", why=str(error)) from error
    return weights


def preflight(wanted: Route53) -> list[Finding]:
    """Whether both records are there and the source has the weight; changes nothing."""
    try:
        found = records(wanted)
    except FirstbellError as error:
        return [Finding("route53", "blocker", error.what, error.fix or "")]
    if found["source"]["Weight"] == 0:
        return [
            Finding(
                "route53",
                "blocker",
                f"{wanted.name} already sends nobody to the source",
                "give the source's record the weight",
            )
        ]
    ttl = found["source"].get("TTL")
    return [Finding("route53", "note", f"{wanted.name} has a TTL of {ttl or 60} s")]
