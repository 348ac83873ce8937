"""What engines that replicate between two servers have in common, whatever the servers are."""

from __future__ import annotations

import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from typing import Final, Generic, Protocol, Self, TypeVar

from cli.migration.engine import (
    NAMED,
    Difference,
    Lines,
    Way,
    since_copy,
)
from cli.migration.engine import Server as AnyServer
from infra.errors import MismatchError

_RATE_SECONDS: Final = 2.0
_SETTLE_SECONDS: Final = 30.0


class Side(AnyServer, Protocol):
    """One of the two servers."""

    def clone(self) -> Self: ...

    def has_token(self, token: str) -> bool: ...

    def put_token(self) -> tuple[str, object]: ...


S = TypeVar("S", bound=Side)


class Pair(ABC, Generic[S]):
    """Two servers of a kind, the source's and the target's."""

    reversible = True

    def __init__(self, source: S, target: S) -> None:
        self._source = source
        self._target = target

    @property
    def source(self) -> S:
        return self._source

    @property
    def target(self) -> S:
        return self._target

    def ends(self, way: Way) -> tuple[S, S]:
        """The side that is read and the side that is written."""
        pair = (self._source, self._target)
        return pair if way == "forward" else (pair[1], pair[0])

    def name(self, way: Way) -> str:
        """What the objects of a direction are called."""
        return f"{self._source.base}_{'fwd' if way == 'forward' else 'back'}"

    def sides(self) -> tuple[S, S]:
        return self._source, self._target

    def side(self, server: object) -> S:
        """One of ours, by identity, with all that its kind can do."""
        return self._source if server is self._source else self._target

    # Differences

    @abstractmethod
    def between(self) -> list[Difference]:
        """What differs between the two catalogues."""

    @abstractmethod
    def opaque(self, side: S) -> Lines:
        """What can only be compared with the same side's own past."""

    @abstractmethod
    def healing(self, difference: Difference, behind: str) -> str: ...

    def baseline(self) -> dict[str, Lines]:
        return {side.side: self.opaque(side) for side in self.sides()}

    def drift(self, baseline: Mapping[str, Lines] | None) -> list[Difference]:
        found = self.between()
        known = {(each.kind, each.name) for each in found}
        for side in self.sides() if baseline is not None else ():
            now = self.opaque(side)
            found += [
                each
                for each in since_copy(side.side, (baseline or {})[side.side], now)
                if (each.kind, each.name.partition(" (on the ")[0]) not in known
            ]
        return found

    def refuse_differences(self, found: Sequence[Difference]) -> None:
        """Raises MismatchError when there are any, with what heals them."""
        if found:
            raise MismatchError(
                "the schema on the target is not the source's: "
                + "; ".join(str(each) for each in found[:NAMED]),
                fix="; ".join(self.healing(each, "target") for each in found[:NAMED]),
            )

    # Rows

    @abstractmethod
    def look_twice(
        self, source: S, target: S, settle: Callable[[], None]
    ) -> tuple[int, Sequence[object]]:
        """Rows compared, and the tables that differ after `settle` as well."""

    def compare_live(self) -> tuple[int, list[str]]:
        source, target = self._source.clone(), self._target.clone()
        try:
            rows, found = self.look_twice(source, target, _settled(source, target))
        finally:
            source.close()
            target.close()
        return rows, [str(each) for each in found]

    # Figures

    @abstractmethod
    def written(self) -> int:
        """Rows written on the source since its statistics began."""

    def observed_rate(self) -> float:
        before = self.written()
        time.sleep(_RATE_SECONDS)
        return max(1.0, (self.written() - before) / _RATE_SECONDS)


def _settled(source: Side, target: Side) -> Callable[[], None]:
    """Waits until what was written on the source just now is on the target."""

    def settle() -> None:
        token, _ = source.put_token()
        deadline = time.monotonic() + _SETTLE_SECONDS
        while not target.has_token(token) and time.monotonic() < deadline:
            time.sleep(0.05)

    return settle
