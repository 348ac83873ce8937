"""How to look for what a killed run was creating: shapes that fit many resource types."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

Inputs = Mapping[str, Any]
Clients = Callable[[str], Any]
# The ids, as pulumi-aws gives them, of the live things that these inputs may have made.
Search = Callable[[Clients, Inputs], Iterable[str]]


def named(service: str, operation: str, member: str, name: str, where: str) -> Search:
    """Anything with a name, which is its id too. `where`: "list" or "one" name is asked for."""

    def search(client: Clients, inputs: Inputs) -> Iterator[str]:
        asked = inputs[name]
        answer = getattr(client(service), operation)(
            **{member: [asked] if where == "list" else asked}
        )
        things = [value for key, value in answer.items() if key != "ResponseMetadata"]
        return iter([asked] if any(things) else [])

    return search
