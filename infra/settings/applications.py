"""`application`: what the instances of a tier or of the workers run."""

from __future__ import annotations

import gzip
from pathlib import Path
from typing import Annotated, Final, Literal

import yaml
from pydantic import Field, field_validator

from infra import paths
from infra.settings.base import HOST, STAND_IN, Settings

# Before base64. EC2 user guide, "Run commands when you launch an EC2 instance with user data".
MAX_USER_DATA_BYTES: Final = 16 * 1024
# What firstbell's own script and the envelope take of it, compressed: 1,801 bytes measured with
# long values for every variable, and some room.
OWN_BYTES: Final = 2 * 1024


def _wrong_with(content: bytes) -> str | None:
    """What cloud-init or EC2 would make nothing of, and the fix."""
    try:
        text = content.decode()
    except UnicodeDecodeError as error:
        line = content[: error.start].count(b"\n") + 1
        return f"has a character in line {line} that is not in UTF-8; save it in that encoding"
    if not text.startswith(("#cloud-config", "#!")):
        return (
            "begins neither with #cloud-config nor with #!: cloud-init would ignore it; begin it "
            "with one of them"
        )
    if "\r\n" in text.partition("\n")[0] + "\n":
        return "has Windows' line ends, with which no script runs; save it with Unix ones"
    size, most = len(gzip.compress(content)), MAX_USER_DATA_BYTES - OWN_BYTES
    if size > most:
        return (
            f"has {size:,} bytes when compressed, and of the {MAX_USER_DATA_BYTES:,} that AWS "
            f"takes of user data {most:,} are left; move what it writes into the image, or let it "
            "fetch it at boot"
        )
    if text.startswith("#cloud-config"):
        return _wrong_with_config(text)
    return None


def _wrong_with_config(text: str) -> str | None:
    try:
        config = yaml.safe_load(text)
    except yaml.MarkedYAMLError as error:
        line = f" in line {error.problem_mark.line + 1}" if error.problem_mark else ""
        return f"is no valid YAML{line}, and cloud-init would ignore it; correct it"
    if not isinstance(config, dict | None):
        return "is no mapping of cloud-init's keys, so that it would be ignored; write keys"
    return None


class GenericApplication(Settings):
    """Whatever an image or a cloud-init file brings; it answers on the tier's health path."""

    kind: Literal["generic"] = Field(
        default="generic", description="`application: generic` is short for it, and the default."
    )
    cloud_init: str | None = Field(
        None,
        description="A cloud-config or script, relative to stacks/; never with a secret in it.",
    )

    @field_validator("cloud_init")
    @classmethod
    def _is_there_and_one(cls, value: str | None) -> str | None:
        if value is None:
            return None
        path = paths.stacks() / value
        if not path.is_file():
            raise ValueError("there is no such file; paths are relative to stacks/")
        if wrong := _wrong_with(path.read_bytes()):
            raise ValueError(f"{value!r} {wrong}")
        return value

    @property
    def file(self) -> Path | None:
        return paths.stacks() / self.cloud_init if self.cloud_init else None


class MoodleApplication(Settings):
    """Moodle, installed at boot from a release that is pinned by version and SHA-256."""

    kind: Literal["moodle"] = Field(description="firstbell installs Moodle on each instance.")
    version: str = Field(
        # What runs on Debian 12's PHP 8.2. Moodle developer resources, "PHP", read 2026-11.
        pattern=r"^(4\.[45]|5\.[01])(\.\d+)?$",
        examples=["4.5.8"],
        description="A released version such as 4.5.8, of 4.4 to 5.1.",
    )
    sha256: str = Field(
        pattern=r"^[0-9a-f]{64}$",
        # An example would be copied, and no node would start.
        json_schema_extra={STAND_IN: "0" * 64},
        description="Of moodle-VERSION.tgz, as moodle.org shows it.",
    )
    host: str | None = Field(
        None,
        pattern=HOST,
        description="The host of wwwroot; the tier's first host without a wildcard, or the domain.",
    )
    replica_latency_seconds: float = Field(
        1.0,
        gt=0,
        le=60,
        description="How long after a write Moodle reads that table from the writer alone.",
    )
    upload_mib: int = Field(
        256, ge=2, le=4096, description="The largest file that nginx and PHP take."
    )


Application = Annotated[GenericApplication | MoodleApplication, Field(discriminator="kind")]
