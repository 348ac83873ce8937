"""AWS Step Functions: state machines."""

from __future__ import annotations

from typing import Final

from cli.localcloud.provider.machine import Autoname, Read, Row, Step, Tagging

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
    names={"arn": "stateMachineArn"},
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
