"""Route 53: records in a hosted zone that is not the stack's."""

from __future__ import annotations

from typing import Any, Final

from cli.localcloud.provider.aws import Cloud
from cli.localcloud.provider.machine import Live, Row, Step
from cli.localcloud.provider.values import Properties


def _record(state: Properties) -> dict[str, Any]:
    record: dict[str, Any] = {"Name": state["name"], "Type": state["type"]}
    if state.get("records") is not None:
        records = state["records"]
        record["ResourceRecords"] = (
            [{"Value": value} for value in records] if isinstance(records, list) else records
        )
    if state.get("ttl") is not None:
        record["TTL"] = state["ttl"]
    if aliases := state.get("aliases"):
        (alias,) = aliases
        record["AliasTarget"] = {
            "DNSName": alias["name"],
            "HostedZoneId": alias["zoneId"],
            "EvaluateTargetHealth": alias["evaluateTargetHealth"],
        }
    return record


def _change(state: Properties, action: str, record: dict[str, Any]) -> dict[str, Any]:
    changes = [{"Action": action, "ResourceRecordSet": record}]
    return {"HostedZoneId": state["zoneId"], "ChangeBatch": {"Changes": changes}}


def _put(_: Cloud, state: Properties, __: frozenset[str]) -> list[dict[str, Any]]:
    return [_change(state, "UPSERT", _record(state))]


def _create(_: Cloud, state: Properties, __: frozenset[str]) -> list[dict[str, Any]]:
    action = "UPSERT" if state.get("allowOverwrite") else "CREATE"
    return [_change(state, action, _record(state))]


def _live(cloud: Cloud, state: Properties) -> Live | None:
    name = f"{state['name'].rstrip('.')}."
    found = cloud.call(
        "route53",
        "list_resource_record_sets",
        HostedZoneId=state["zoneId"],
        StartRecordName=name,
        StartRecordType=state["type"],
    )
    wanted = (name.lower(), state["type"])
    return next((r for r in found["ResourceRecordSets"] if (r["Name"], r["Type"]) == wanted), None)


def _read(cloud: Cloud, state: Properties) -> Live | None:
    record = _live(cloud, state)
    if record is None:
        return None
    alias = record.get("AliasTarget")
    shown: Live = {
        "name": record["Name"].rstrip("."),
        "fqdn": record["Name"].rstrip("."),
        "type": record["Type"],
        "ttl": record.get("TTL"),
        "records": [value["Value"] for value in record.get("ResourceRecords", [])] or None,
    }
    if alias:
        target = {
            "name": alias["DNSName"].rstrip("."),
            "zoneId": alias["HostedZoneId"],
            "evaluateTargetHealth": alias["EvaluateTargetHealth"],
        }
        shown["aliases"] = [target]
    return shown


def _delete(cloud: Cloud, state: Properties, _: frozenset[str]) -> None:
    """AWS wants to be told all of a record that is to go."""
    record = _live(cloud, state)
    if record is not None:
        cloud.call("route53", "change_resource_record_sets", **_change(state, "DELETE", record))


_PROPS: Final = "aliases records ttl"

RECORD: Final = Row(
    type="aws:route53/record:Record",
    service="route53",
    create=Step("change_resource_record_sets", f"name type zoneId {_PROPS}", build=_create),
    id="={zoneId}_{name}_{type}",
    read=_read,
    key={},
    update=(Step("change_resource_record_sets", _PROPS, build=_put),),
    delete=Step(run=_delete),
    replace="name type zoneId",
    ignored="allowOverwrite",
    computed="allowOverwrite",
)

ROWS: Final = (RECORD,)
