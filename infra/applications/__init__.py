"""What instances run: from an application's settings to the user data of its launch template.

Here: what a node is told (endpoints, ARNs, never a secret), and which of AWS's actions its role
needs for it. What each application makes of it stands in its own module.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

import pulumi

from infra.applications.user_data import Part, answers, cloud_config, encoded, node_script
from infra.iam import Statement
from infra.settings.applications import Application, GenericApplication, MoodleApplication

Role = Literal["web", "worker"]
Protocol = Literal["HTTPS", "HTTP"]


@dataclass(frozen=True)
class FilesAccess:
    """The shared file system, through one access point, and the bucket where there is one."""

    file_system_id: pulumi.Input[str]
    file_system_arn: pulumi.Input[str]
    access_point_id: pulumi.Input[str]
    access_point_arn: pulumi.Input[str]
    bucket_name: pulumi.Input[str] | None = None
    bucket_arn: pulumi.Input[str] | None = None


@dataclass(frozen=True)
class Surroundings:
    """What a stack's applications find around them.

    `database` and `cache` are the outputs of those components; the secret of each is a JSON object
    with `username` and `password`.
    """

    stack: str
    region: str
    domain: str
    database: pulumi.Input[Mapping[str, Any]]
    cache: pulumi.Input[Mapping[str, Any]] | None = None
    files: FilesAccess | None = None
    behind_cdn: bool = False

    @property
    def statements(self) -> list[Statement]:
        """What a node's role may do: read its secrets, mount its files."""
        secrets = [
            pulumi.Output.from_input(found).apply(lambda outputs: str(outputs["secret_arn"]))
            for found in (self.database, self.cache)
            if found is not None
        ]
        statements = [Statement(["secretsmanager:GetSecretValue"], secrets)]
        if self.files is not None:
            statements.append(
                Statement(
                    ["elasticfilesystem:ClientMount", "elasticfilesystem:ClientWrite"],
                    [self.files.file_system_arn],
                    {
                        "StringEquals": {
                            "elasticfilesystem:AccessPointArn": self.files.access_point_arn
                        }
                    },
                )
            )
            if self.files.bucket_arn is not None:
                statements += _on_bucket(self.files.bucket_arn)
        return statements

    def environment(self) -> pulumi.Output[dict[str, str]]:
        """All of it as variables, under the names that /etc/firstbell/environment has."""
        given: dict[str, pulumi.Input[str]] = {
            "FIRSTBELL_STACK": self.stack,
            "AWS_REGION": self.region,
            "AWS_DEFAULT_REGION": self.region,
        }
        if self.files is not None:
            given["FILES_ID"] = self.files.file_system_id
            given["FILES_ACCESS_POINT_ID"] = self.files.access_point_id
            if self.files.bucket_name is not None:
                given["FILES_BUCKET"] = self.files.bucket_name
        return pulumi.Output.all(pulumi.Output.all(**given), self.database, self.cache).apply(
            lambda found: (
                {key: str(value) for key, value in found[0].items()}
                | _variables("DATABASE", found[1])
                | _variables("CACHE", found[2] or {})
            )
        )


def _on_bucket(arn: pulumi.Input[str]) -> list[Statement]:
    """Reads, writes and deletes objects, and lists them; old versions stay out of reach."""
    return [
        Statement(["s3:ListBucket", "s3:GetBucketLocation"], [arn]),
        Statement(
            ["s3:GetObject", "s3:PutObject", "s3:DeleteObject", "s3:AbortMultipartUpload"],
            [pulumi.Output.concat(arn, "/*")],
        ),
    ]


def _variables(prefix: str, outputs: Mapping[str, Any]) -> dict[str, str]:
    """Outputs as variables; what there is not has none."""
    return {
        f"{prefix}_{key.upper()}": str(value) for key, value in outputs.items() if value is not None
    }


@dataclass(frozen=True)
class NodeArgs:
    """One kind of node. `host` is the site's, `health` the path of a web node's health checks,
    `protocol` what the load balancer speaks with it.

    `concurrency` is how many requests or jobs the node works on at a time; `behind_cdn` says that
    requests come through a CDN before the load balancer.
    """

    role: Role
    name: str
    application: Application
    instance_types: tuple[str, ...]
    port: int
    protocol: Protocol
    health: str
    host: str
    concurrency: int
    queue_url: pulumi.Input[str] | None = None
    behind_cdn: bool = False


def user_data(args: NodeArgs, surroundings: Surroundings) -> pulumi.Output[str]:
    """The base64 text for a launch template; unknown as long as an endpoint is.

    Raises (when resolved):
        InputError: it is larger than AWS takes.
    """

    def render(both: list[Any]) -> str:
        found, queue = both
        environment: dict[str, str] = found | {"FIRSTBELL_NODE": args.name}
        if queue is not None:
            environment["QUEUE_URL"] = str(queue)
        return encoded(parts(args, environment), where=args.name)

    return pulumi.Output.all(surroundings.environment(), args.queue_url).apply(render)


def parts(args: NodeArgs, environment: Mapping[str, str]) -> list[Part]:
    """What cloud-init gets: the application's own part, and one that runs at each boot."""
    match args.application:
        case GenericApplication() as generic:
            own = [Part.of_file(generic.file)] if generic.file else []
            ready = (
                [answers(args.protocol, args.port, args.health)]
                if args.role == "web"
                # Nothing listens on a worker: it is ready when cloud-init has done its work.
                else ["test -e /var/lib/cloud/instance/boot-finished"]
            )
        case MoodleApplication() as moodle:
            # Imported when needed: it brings a template engine.
            from infra.applications import moodle as moodle_nodes

            node = moodle_nodes.node_of(args, moodle, environment)
            own = [Part("moodle.yaml", "cloud-config", cloud_config(moodle_nodes.config(node)))]
            ready = moodle_nodes.ready(node)
    serves_tls = args.role == "web" and args.protocol == "HTTPS"
    return [*own, node_script(environment, ready, tls=serves_tls)]
