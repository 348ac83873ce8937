"""EventBridge Scheduler: schedules that call an operation of AWS."""

from __future__ import annotations

from typing import Final

from cli.localcloud.provider.machine import Autoname, Read, Row, Step

SCHEDULE: Final = Row(
    type="aws:scheduler/schedule:Schedule",
    service="scheduler",
    create="create_schedule",
    id="={groupName}/{name}",
    read=Read("get_schedule", "@", {"Name": "name", "GroupName": "groupName"}),
    key={"Name": "name", "GroupName": "groupName"},
    update=(Step("update_schedule", whole=True),),
    delete="delete_schedule",
    replace="name namePrefix groupName",
    defaults={
        "groupName": "default",
        "scheduleExpressionTimezone": "UTC",
        "state": "ENABLED",
        "actionAfterCompletion": "NONE",
    },
    absent="startDate endDate description",
    # What an update leaves out is gone.
    cleared={"startDate": None, "endDate": None, "description": None},
    autoname=Autoname(max_length=64),
)

ROWS: Final = (SCHEDULE,)
