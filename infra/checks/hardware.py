"""Types and classes that the table does not know: on AWS the table may be older than the Region.

Locally they are errors of the stack's file (`infra/settings/hardware.py`).
"""

from __future__ import annotations

from infra.checks.base import Findings, Subject
from infra.settings.hardware import unknown_hardware


def check(subject: Subject) -> Findings:
    """Warn of an AWS stack's types that nobody has seen in its Region."""
    settings = subject.settings
    if settings.cloud == "local":
        return Findings()
    return Findings(warnings=tuple(str(problem) for problem in unknown_hardware(settings)))
