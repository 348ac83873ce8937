"""Whether anybody may walk around the CDN."""

from __future__ import annotations

from infra.checks.base import PLATFORM, Findings, Subject


def check(subject: Subject) -> Findings:
    """Only worth saying: a site that serves already goes through this state."""
    edge = subject.settings.platform.edge
    if edge is None or not edge.serve_direct:
        return Findings()
    return Findings(
        warnings=(
            f"{PLATFORM}/edge/serve_direct is true: the load balancer serves who walks around the "
            "CDN, too; once the names lead through it (names that you switch yourself included), "
            "take serve_direct out and run up again",
        )
    )
