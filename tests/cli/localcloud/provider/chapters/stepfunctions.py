"""The life of what stepfunctions makes."""

from __future__ import annotations

import json
from typing import Any, Final

import pulumi
import pulumi_aws as aws

from tests.cli.localcloud.provider.chapters.base import Client, Drift, Shared, Variant


def machine(state: str) -> str:
    return json.dumps({"StartAt": state, "States": {state: {"Type": "Succeed"}}})


def program(variant: Variant, shared: Shared) -> None:
    aws.sfn.StateMachine(
        "machine",
        name=f"{pulumi.get_stack()}-{variant.name}",
        type="EXPRESS",
        role_arn="arn:aws:iam::123456789012:role/machine",
        definition=machine(variant.either("rung", "silent")),
        logging_configuration={
            "level": variant.either("ERROR", "ALL"),
            "include_execution_data": True,
            "log_destination": "arn:aws:logs:eu-north-1:123456789012:log-group:machine:*",
        },
        tags=variant.tags,
    )


DRIFTS: Final[dict[str, Drift]] = {
    "machine": lambda c, s: c("stepfunctions").update_state_machine(
        stateMachineArn=s["id"], definition=machine("evil")
    ),
}


def left_over(client: Client) -> list[Any]:
    return client("stepfunctions").list_state_machines()["stateMachines"]
