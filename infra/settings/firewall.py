"""`firewall`: what AWS WAF does before requests reach the application."""

from __future__ import annotations

from typing import Annotated, Final

from pydantic import AfterValidator, Field

from infra.errors import nearest
from infra.settings.base import RetentionDays, Settings, rule

# WAF developer guide, "Rate-based rule high-level settings": the windows offered.
WINDOW_SECONDS: Final = 300
# WAF API reference, ByteMatchStatement, SearchString.
MAX_SEARCH_BYTES: Final = 200
# The rules of AWSManagedRulesCommonRuleSet. WAF developer guide, "Baseline rule groups", 2026-11.
# WAF ignores any other name without a word (API reference, RuleActionOverride).
COMMON_RULES: Final = (
    "CrossSiteScripting_BODY",
    "CrossSiteScripting_COOKIE",
    "CrossSiteScripting_QUERYARGUMENTS",
    "CrossSiteScripting_URIPATH",
    "EC2MetaDataSSRF_BODY",
    "EC2MetaDataSSRF_COOKIE",
    "EC2MetaDataSSRF_QUERYARGUMENTS",
    "EC2MetaDataSSRF_URIPATH",
    "GenericLFI_BODY",
    "GenericLFI_QUERYARGUMENTS",
    "GenericLFI_URIPATH",
    "GenericRFI_BODY",
    "GenericRFI_QUERYARGUMENTS",
    "GenericRFI_URIPATH",
    "NoUserAgent_HEADER",
    "RestrictedExtensions_QUERYARGUMENTS",
    "RestrictedExtensions_URIPATH",
    "SizeRestrictions_BODY",
    "SizeRestrictions_Cookie_HEADER",
    "SizeRestrictions_QUERYSTRING",
    "SizeRestrictions_URIPATH",
    "UserAgent_BadBots_HEADER",
)
# Rules of the common rule set that take an LMS's daily work for an attack: essays and uploads are
# long and hold markup and addresses, and a SAML sign-in has a long query.
COUNTED_RULES: Final = (
    "SizeRestrictions_BODY",
    "SizeRestrictions_QUERYSTRING",
    "CrossSiteScripting_BODY",
    "GenericLFI_BODY",
    "GenericRFI_BODY",
    "EC2MetaDataSSRF_BODY",
)
# Where no browser asks that could answer: SAML and OIDC endpoints, web services and their tokens.
UNCHALLENGED_PATHS: Final = (
    "/auth/",
    "/saml",
    "/oauth",
    "/login/token.php",
    "/webservice/",
    "/api/",
)


def _is_a_common_rule(value: str) -> str:
    if value not in COMMON_RULES:
        close = nearest(value, COMMON_RULES)
        fix = f"did you mean {close}?" if close else f"known are {', '.join(COMMON_RULES)}"
        raise ValueError(f"{value!r} is no rule of AWS's common rule set; {fix}")
    return value


def _begins_a_path(value: str) -> str:
    if not value.startswith("/") or value == "/":
        raise ValueError(
            f"{value!r} is no beginning of a path; write it with a leading /, and more than that "
            "alone"
        )
    if len(value.encode()) > MAX_SEARCH_BYTES:
        raise ValueError(
            f"{value!r} is longer than the {MAX_SEARCH_BYTES} bytes that AWS WAF compares; shorten "
            "it"
        )
    return value


class FirewallSettings(Settings):
    """Challenges first, and blocks only what no school can be."""

    requests_per_session: int = Field(
        3_000,
        ge=10,
        le=2_000_000_000,
        description="In 5 minutes, of one session from one address; above it browsers are "
        "challenged.",
    )
    requests_per_address: int = Field(
        100_000,
        ge=10,
        le=2_000_000_000,
        description="In 5 minutes, of one address; above it browsers are challenged. A school, or "
        "a region's whole network, may stand behind one.",
    )
    block_at: int = Field(
        10,
        ge=2,
        le=1_000,
        description="Times requests_per_address at which an address is blocked.",
    )
    session_cookie: str | None = Field(
        None,
        pattern=r"^[\w.-]+$",
        max_length=64,
        description="The cookie that tells sessions apart; Moodle's where a tier runs Moodle.",
    )
    unchallenged_paths: tuple[Annotated[str, AfterValidator(_begins_a_path)], ...] = Field(
        UNCHALLENGED_PATHS,
        min_length=1,
        max_length=10,
        description="Beginnings of paths that programs call: they cannot answer a challenge.",
    )
    counted_rules: tuple[Annotated[str, AfterValidator(_is_a_common_rule)], ...] = Field(
        COUNTED_RULES,
        description="Rules of AWS's common rule set that are counted and let through.",
    )
    log_days: RetentionDays = Field(
        30, description="How long the log of what was blocked, challenged or counted is kept."
    )

    @rule()
    def _ceiling_is_higher(self) -> None:
        if self.requests_per_session > self.requests_per_address:
            raise ValueError(
                f"requests_per_session {self.requests_per_session} is greater than "
                f"requests_per_address {self.requests_per_address}: a session would never be "
                "challenged before its whole school is"
            )

    @rule()
    def _ceiling_fits(self) -> None:
        if self.requests_per_address * self.block_at > 2_000_000_000:
            raise ValueError(
                f"block_at {self.block_at} times requests_per_address is more than 2,000,000,000, "
                "AWS's limit for a rate"
            )
