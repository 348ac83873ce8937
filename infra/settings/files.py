"""`files`: the shared file system, and the bucket beside it."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from infra.settings.base import Name, Settings, rule


class AccessPointSettings(Settings):
    """One way in: whatever comes through it is this user, below this folder."""

    path: str = Field(
        pattern=r"^(/[A-Za-z0-9._-]+){1,4}$",
        examples=["/moodledata"],
        max_length=100,
        description="A folder, never the root: it is made with these owners and permissions.",
    )
    uid: int = Field(33, ge=1, le=4_294_967_295, description="33 is www-data on Debian and Ubuntu.")
    gid: int = Field(33, ge=1, le=4_294_967_295, description="The group, as uid is the user.")
    permissions: str = Field(
        "0750",
        pattern=r"^0?[0-7]{3}$",
        examples=['"0750"'],
        description="Of the folder, when it is made.",
    )


class FilesBucketSettings(Settings):
    """An S3 bucket for files beside the file system: closed, encrypted, over TLS, logged.

    Nodes may read, write and delete its objects by their role; the variable FILES_BUCKET names it.
    """

    old_version_days: int = Field(
        30,
        ge=1,
        le=3650,
        description="How long what was replaced or deleted can be brought back.",
    )


class FilesSettings(Settings):
    """An EFS file system with a mount target in each zone, reached through access points."""

    access_points: dict[Name, AccessPointSettings] = Field(
        default_factory=lambda: {"data": AccessPointSettings.model_validate({"path": "/data"})},
        min_length=1,
        max_length=1000,
    )
    bucket: FilesBucketSettings | None = None
    throughput: Literal["elastic", "bursting"] = Field(
        "elastic", description="Elastic bears the first bell; bursting costs less at a steady load."
    )
    infrequent_access_days: Literal[1, 7, 14, 30, 60, 90, 180, 270, 365] = Field(
        30, description="Files not read for so long move to the cheaper storage class."
    )

    @rule()
    def _folders_are_their_own(self) -> None:
        by_path: dict[str, str] = {}
        for name, point in self.access_points.items():
            if point.path in by_path:
                raise ValueError(
                    f"access_points: {by_path[point.path]} and {name} both have the folder "
                    f"{point.path}; give each its own"
                )
            by_path[point.path] = name
