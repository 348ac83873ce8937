"""Global transaction ids as MariaDB writes them: `domain-server-sequence`, one a domain."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True)
class Position:
    """The last transaction of each replication domain: domain -> (server id, sequence)."""

    last: Mapping[int, tuple[int, int]] = field(default_factory=dict[int, tuple[int, int]])

    @classmethod
    def parse(cls, text: str) -> Position:
        """Read `0-1-100,1-2-7`; of a domain that stands there twice the later one counts.

        Raises:
            ValueError: it is no list of GTIDs.
        """
        last: dict[int, tuple[int, int]] = {}
        for each in filter(None, (part.strip() for part in text.split(","))):
            domain, server, sequence = (int(number) for number in each.split("-"))
            if domain not in last or last[domain][1] <= sequence:
                last[domain] = (server, sequence)
        return cls(last)

    def __str__(self) -> str:
        return ",".join(f"{d}-{server}-{n}" for d, (server, n) in sorted(self.last.items()))

    def without(self, domain: int) -> Position:
        return Position({d: gtid for d, gtid in self.last.items() if d != domain})

    def covers(self, other: Position) -> bool:
        """Whether everything up to the other position is included."""
        return all(
            domain in self.last and self.last[domain][1] >= sequence
            for domain, (_, sequence) in other.last.items()
        )

    def behind(self, other: Position) -> int:
        """How many transactions are missing up to the other position."""
        return sum(
            max(0, sequence - self.last.get(domain, (0, 0))[1])
            for domain, (_, sequence) in other.last.items()
        )
