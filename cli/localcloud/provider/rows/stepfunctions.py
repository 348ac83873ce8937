"""AWS Step Functions: state machines."""

from __future__ import annotations

from typing import Any, Final

from cli.localcloud.provider.machine import Autoname, Read, Row, Step, Tagging


def _logging(machine: dict[str, Any]) -> dict[str, Any] | None:
    """AWS has a list of destinations, of one kind of which one is allowed."""
    found: dict[str, Any] = machine.get("loggingConfiguration") or {}
    groups = [each["cloudWatchLogsLogGroup"] for each in found.get("destinations") or ()]
    return found | {"destinations": groups[0]["logGroupArn"]} if groups else found


STATE_MACHINE: Final = Row(
    type="aws:sfn/stateMachine:StateMachine",
    service="stepfunctions",
    create=Step(
        "create_state_machine",
        "name definition roleArn type loggingConfiguration tracingConfiguration publish",
    ),
    id="stateMachineArn",
    read=Read("describe_state_machine", "@", {"stateMachineArn": "id"}),
    key={"stateMachineArn": "id"},
    update=(
        Step(
            "update_state_machine",
            "definition roleArn loggingConfiguration tracingConfiguration publish",
        ),
    ),
    delete="delete_state_machine",
    names={"arn": "stateMachineArn", "loggingConfiguration.logDestination": "destinations"},
    reads={"loggingConfiguration": _logging},
    replace="name namePrefix type",
    defaults={"type": "STANDARD", "publish": False},
    computed="loggingConfiguration tracingConfiguration encryptionConfiguration",
    ignored="publish",
    documents="definition",
    autoname=Autoname(max_length=80),
    tags=Tagging(
        add="tag_resource",
        remove="untag_resource",
        key="resourceArn",
        tags="tags",
        keys="tagKeys",
        create="tags",
        read=Read("list_tags_for_resource", "tags", {"resourceArn": "arn"}),
    ),
)

ROWS: Final = (STATE_MACHINE,)
