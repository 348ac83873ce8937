"""`edge`: CloudFront before the load balancer."""

from __future__ import annotations

import re
from typing import Annotated, Final, Literal

from pydantic import AfterValidator, Field, field_validator

from infra.settings.base import Settings

# Cache behaviours a distribution: 75 (adjustable), one of which is the error page's. CloudFront
# developer guide, "Quotas".
MAX_STATIC_PATHS: Final = 74
# CloudFront developer guide, "Path pattern", and the length of API reference, CacheBehavior [M].
_PATTERN: Final = re.compile(r"[A-Za-z0-9_.*$/~\"'@:+&?-]{1,255}")


def _is_a_pattern(value: str) -> str:
    if _PATTERN.fullmatch(value) is None:
        raise ValueError(
            f"{value!r} is no pattern that CloudFront takes: 255 characters at most, no spaces, "
            "nothing beyond ASCII; write it as the browser asks, for example /theme/*"
        )
    if not value.startswith("/") or value in ("/", "/*"):
        raise ValueError(
            f"{value!r} is no pattern of static paths; begin it with / and name a part of the "
            "site, for example /theme/*"
        )
    return value


class EdgeSettings(Settings):
    """CloudFront with a web ACL of its own; the balancer then takes requests from it alone."""

    certificate_arn: str | None = Field(
        None,
        pattern=r"^arn:aws[\w-]*:acm:",
        examples=["arn:aws:acm:us-east-1:ACCOUNT:certificate/ID"],
        description="Of us-east-1, for the domain and the tiers' hosts; requested where left out.",
    )
    default_root_object: str | None = Field(
        None,
        pattern=r"^[A-Za-z0-9_.*$~\"'-]+$",
        max_length=255,
        examples=["index.php"],
        description="What the bare address asks the application for: index.php with Moodle, else "
        "index.html.",
    )
    static_paths: tuple[Annotated[str, AfterValidator(_is_a_pattern)], ...] = Field(
        (),
        max_length=MAX_STATIC_PATHS,
        description="Patterns of paths that are the same for everybody and may be cached, by host "
        "and query, as long as the application says (an hour where it says nothing).",
    )
    price_class: Literal["PriceClass_100", "PriceClass_200", "PriceClass_All"] = Field(
        "PriceClass_100", description="Where it answers from: 100 is Europe and North America."
    )
    serve_direct: bool = Field(
        False,
        description="true: the load balancer serves who comes to it directly, too. For a site that "
        "serves already: its first up with edge says true, and the next one, once the names lead "
        "through the CDN, no more.",
    )
    key_number: int = Field(
        1,
        ge=1,
        description="Of the secret that proves to the load balancer that a request came through "
        "the CDN. Raise it by one to change the secret: the one before stays valid until the next "
        "time.",
    )

    @field_validator("static_paths")
    @classmethod
    def _differ(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        if len(set(value)) < len(value):
            raise ValueError("two patterns are the same; leave one out")
        return value
