"""Whether anybody hears of what goes wrong, and of what it costs."""

from __future__ import annotations

from infra.checks.base import PLATFORM, Findings, Subject


def check(subject: Subject) -> Findings:
    """Only worth saying: addresses and limits are the user's to state."""
    settings = subject.settings.platform.observability
    key, found = f"{PLATFORM}/observability", list[str]()
    if not settings.emails:
        found.append(
            f"alarms reach nobody: {key}/emails is empty; name who reads them at night, such as "
            "[ops@example.org]"
        )
    if settings.monthly_limit_usd is None:
        found.append(
            f"there is no budget alarm: {key}/monthly_limit_usd says what a month may cost, and "
            "only you know"
        )
    return Findings(warnings=tuple(found))
