"""Application Auto Scaling: what scales Aurora's replicas."""

from __future__ import annotations

from typing import Any, Final

from cli.localcloud.provider.machine import Autoname, Read, Row, Step
from cli.localcloud.provider.values import Properties

_TARGET: Final = {
    "ServiceNamespace": "serviceNamespace",
    "ResourceId": "resourceId",
    "ScalableDimension": "scalableDimension",
}

TARGET: Final = Row(
    type="aws:appautoscaling/target:Target",
    service="application-autoscaling",
    create="register_scalable_target",
    id="={resourceId}",
    read=Read(
        "describe_scalable_targets",
        "ScalableTargets[0]",
        {
            "ServiceNamespace": "serviceNamespace",
            "ResourceIds": "resourceId",
            "ScalableDimension": "scalableDimension",
        },
    ),
    key=_TARGET,
    update=(Step("register_scalable_target", "minCapacity maxCapacity roleArn suspendedState"),),
    delete="deregister_scalable_target",
    replace="resourceId scalableDimension serviceNamespace",
    computed="roleArn suspendedState",
    reads={"arn": "ScalableTargetARN"},
    import_id="serviceNamespace/resourceId/scalableDimension",
)


def _named_policy(answer: dict[str, Any], state: Properties) -> Any:
    """moto does not filter by name."""
    policies = answer["ScalingPolicies"]
    return next((policy for policy in policies if policy["PolicyName"] == state["name"]), None)


POLICY: Final = Row(
    type="aws:appautoscaling/policy:Policy",
    service="application-autoscaling",
    create="put_scaling_policy",
    id="={name}",
    read=Read("describe_scaling_policies", _named_policy, _TARGET | {"PolicyNames": "name"}),
    key=_TARGET | {"PolicyName": "name"},
    update=(Step("put_scaling_policy", whole=True),),
    delete="delete_scaling_policy",
    names={"name": "PolicyName", "arn": "PolicyARN"},
    replace="name resourceId scalableDimension serviceNamespace",
    defaults={"policyType": "StepScaling"},
    autoname=Autoname(max_length=255),
    reads={"alarmArns": "Alarms[].AlarmARN"},
    import_id="serviceNamespace/resourceId/scalableDimension/name",
)

SCHEDULED_ACTION: Final = Row(
    type="aws:appautoscaling/scheduledAction:ScheduledAction",
    service="application-autoscaling",
    create="put_scheduled_action",
    id="={name}-{serviceNamespace}-{resourceId}",
    read=Read(
        "describe_scheduled_actions",
        "ScheduledActions[0]",
        _TARGET | {"ScheduledActionNames": "name"},
    ),
    key=_TARGET | {"ScheduledActionName": "name"},
    # What is left out is deleted.
    update=(Step("put_scheduled_action", whole=True),),
    delete="delete_scheduled_action",
    names={"name": "ScheduledActionName", "arn": "ScheduledActionARN"},
    replace="name resourceId scalableDimension serviceNamespace",
    defaults={"timezone": "UTC"},
    autoname=Autoname(max_length=256),
)

ROWS: Final = (TARGET, POLICY, SCHEDULED_ACTION)
