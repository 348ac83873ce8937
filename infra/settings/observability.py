"""`observability`: who hears of what goes wrong, and when something does."""

from __future__ import annotations

from typing import Annotated, Final

from pydantic import AfterValidator, Field, field_validator

from infra.settings.base import Settings

# One notification of AWS Budgets, and one page of subscriptions: more readers belong on a list.
MAX_EMAILS: Final = 10


def _is_an_address(value: str) -> str:
    # Imported when there is one to look at: it takes a while.
    from email_validator import EmailNotValidError, validate_email

    try:
        validate_email(value, check_deliverability=False, allow_smtputf8=False)
    except EmailNotValidError as error:
        raise ValueError(
            f"{value!r} is no e-mail address: {str(error).rstrip('.')}; write one such as "
            "ops@example.org"
        ) from error
    return value


class ObservabilitySettings(Settings):
    """The dashboard, the alarms and the addresses that they reach."""

    emails: tuple[Annotated[str, AfterValidator(_is_an_address)], ...] = Field(
        (),
        max_length=MAX_EMAILS,
        description="Addresses that alarms are sent to; AWS asks each once whether it agrees. "
        "Without one, alarms go to the stack's topic alone, which nobody reads.",
    )
    monthly_limit_usd: float | None = Field(
        None,
        gt=0,
        allow_inf_nan=False,
        description="What the whole AWS account may cost in a month, all stacks in it: told when "
        "80 % and 100 % are spent, and when the forecast passes it. Without it there is no budget "
        "alarm.",
    )
    below_floor_minutes: int = Field(
        10,
        ge=3,
        le=60,
        description="So long fewer units than the floor may be in service before it is told; where "
        "boots take longer, so long and five minutes.",
    )
    error_percent: float = Field(
        1.0, gt=0, le=100, description="Server errors among the requests, over five minutes."
    )
    latency_seconds: float = Field(
        2.0,
        gt=0,
        le=60,
        description="The slowest twentieth of the answers takes longer, over five minutes.",
    )
    unhealthy_percent: float = Field(
        25.0,
        gt=0,
        le=100,
        description="Instances of a tier that fail their health checks, over five minutes.",
    )
    job_wait_minutes: int = Field(
        60,
        ge=5,
        le=10_080,
        description="So long the oldest job may wait in a queue; a day more for workers that a "
        "season gives hours of their own.",
    )

    @field_validator("emails")
    @classmethod
    def _differ(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        if len({each.casefold() for each in value}) < len(value):
            raise ValueError("an address stands there twice; name each once")
        return value
