"""What Application Auto Scaling calls the things whose replicas a season moves."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from infra.season.season_file import TargetKind


@dataclass(frozen=True)
class Scalable:
    """A kind of scalable target: its service, its dimension, and how a thing of it is named."""

    namespace: str
    dimension: str
    prefix: str

    def resource_id(self, name: str) -> str:
        """The resource id of the thing with that name."""
        return self.prefix + name

    def name(self, resource_id: str) -> str:
        """The name of the thing with that resource id."""
        return resource_id.removeprefix(self.prefix)


# Application Auto Scaling API reference, RegisterScalableTarget.
_BY_KIND: Final[Mapping[TargetKind, Scalable]] = {
    "aurora-replicas": Scalable("rds", "rds:cluster:ReadReplicaCount", "cluster:"),
    "elasticache-replicas": Scalable(
        "elasticache", "elasticache:replication-group:Replicas", "replication-group/"
    ),
}
# By the kind of a season's target.
SCALABLE: Final[Mapping[str, Scalable]] = {str(kind): of for kind, of in _BY_KIND.items()}


def kind_of(dimension: str) -> TargetKind | None:
    """The kind of target that has this dimension; None where no season moves it."""
    return next((kind for kind, of in _BY_KIND.items() if of.dimension == dimension), None)
