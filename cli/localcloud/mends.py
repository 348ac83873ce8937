"""What moto 5.2.5 gets wrong so that no caller can work around it, put right in the server.

Each mend is made when its service is first asked, since importing moto's services takes a second.
"""

from __future__ import annotations

import functools
from typing import Any


@functools.cache
def mend(service: str) -> None:
    """Put right what is wrong with a service, named as in a request's signature."""
    match service:
        case "autoscaling":
            _keep_mixed_instances_policies()
        case "rds":
            _delete_automated_snapshots_with_their_cluster()
        case _:
            pass


def _keep_mixed_instances_policies() -> None:
    """An update that says nothing of the policy leaves it; moto takes it away."""
    from moto.autoscaling.models import FakeAutoScalingGroup

    update = FakeAutoScalingGroup.update

    def keeping(self: FakeAutoScalingGroup, **request: Any) -> None:
        kept = self.mixed_instances_policy
        replaced = any(
            request.get(key)
            for key in ("launch_config_name", "launch_template", "mixed_instances_policy")
        )
        update(self, **request)
        if not replaced:
            self.mixed_instances_policy = kept

    FakeAutoScalingGroup.update = keeping  # pyright: ignore[reportAttributeAccessIssue] # moto names all arguments


def _delete_automated_snapshots_with_their_cluster() -> None:
    """moto keeps them, named by the minute, and then refuses a cluster made anew in that minute."""
    from moto.rds.models import DBCluster, RDSBackend

    delete = RDSBackend.delete_db_cluster

    def deleting(
        self: RDSBackend, cluster_identifier: str, snapshot_name: str | None = None
    ) -> DBCluster:
        deleted = delete(self, cluster_identifier, snapshot_name)
        for name, snapshot in list(self.cluster_snapshots.items()):
            if (
                snapshot.cluster.db_cluster_identifier == cluster_identifier
                and snapshot.snapshot_type == "automated"
            ):
                del self.cluster_snapshots[name]
        return deleted

    RDSBackend.delete_db_cluster = deleting
