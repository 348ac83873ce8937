"""Composes the components, in reading order: network, data, balancer, web tiers, what is seen of
them, schedule."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

import pulumi
import pulumi_aws as aws

from infra import checks, clock, refreshes
from infra.access import Access, AccessArgs, Door
from infra.account import Account
from infra.applications import FilesAccess, Surroundings
from infra.backup import Backup, BackupArgs
from infra.balancer import Balancer, BalancerArgs, rule_priorities
from infra.bucket import BucketArgs
from infra.cache import Cache, CacheArgs
from infra.certificate import Certificate, CertificateArgs
from infra.database import Database, DatabaseArgs
from infra.edge import Edge, EdgeArgs, visitors
from infra.files import Files, FilesArgs
from infra.firewall import GLOBAL_REGION, Firewall, FirewallArgs, front_rules, origin_rules
from infra.floors import Floor, Floors, FloorsArgs
from infra.log_bucket import LogBucket
from infra.names import Names, NamesArgs
from infra.network import Network, NetworkArgs
from infra.notices import Notices, NoticesArgs
from infra.observability import MetricNames, Observability, ObservabilityArgs, watch
from infra.origin_key import HEADER, OriginKey, OriginKeyArgs
from infra.refreshes import Refreshes, RefreshesArgs
from infra.schedule import Schedule, ScheduleArgs, ScheduledTarget
from infra.scheduling import Season, kind_at
from infra.season.plan import Bounds
from infra.season.scalable import SCALABLE
from infra.settings.backup import BACKUP_TAG
from infra.settings.dns import certifiable
from infra.settings.stack import StackSettings, UnsoundStack, from_config
from infra.web import WebTier, WebTierArgs
from infra.workers import Workers, WorkersArgs

# What a stack's file may say outside `firstbell:platform`, as (namespace, key).
_CONFIG_KEYS: Final = (
    ("aws", "region"),
    ("aws", "allowedAccountIds"),
    ("firstbell", "cloud"),
    ("firstbell", "season"),
    ("firstbell", "platform"),
)


def configured() -> StackSettings:
    """The settings of the stack that Pulumi is running.

    Raises:
        Problems: what is wrong with them, and what AWS would refuse of the rest.
    """
    config: dict[str, object] = {}
    for namespace, key in _CONFIG_KEYS:
        bag = pulumi.Config(namespace)
        structured = key in ("platform", "allowedAccountIds")
        value = bag.get_object(key) if structured else bag.get(key)
        if value is not None:
            config[f"{namespace}:{key}"] = value
    stack = pulumi.get_stack()
    try:
        return from_config(stack, config, source=f"stacks/Pulumi.{stack}.yaml")
    except UnsoundStack as error:
        checks.examine(error).refuse()
        raise


@dataclass(frozen=True)
class Platform:
    """What a stack exports."""

    outputs: Mapping[str, pulumi.Input[object]]


def compose(settings: StackSettings, now: datetime | None = None) -> Platform:
    """Declare every resource of a stack.

    Raises:
        InputError: the season's plan is missing, stale, edited or past its end.
        Problems: AWS, a quota or the database would refuse what the stack asks for.
    """
    moment = now or clock.now(settings.cloud)
    examined = checks.examine(settings, moment)
    examined.refuse()
    season = Season(examined.plan.targets if examined.plan else {})
    stack, platform = settings.stack, settings.platform
    tags = {
        "stack": stack,
        "owner": platform.owner,
        "season": settings.season or "none",
        "managed-by": "firstbell",
    }

    Account(stack, platform.account)
    network = Network(stack, NetworkArgs(platform.network, settings.region, tags))
    notices = Notices(
        f"{stack}-notices", NoticesArgs(tags, list(refreshes.rules(stack, platform.groups)))
    )
    replicas = platform.database.replicas
    database = Database(
        f"{stack}-database",
        DatabaseArgs(
            settings=platform.database,
            bounds=season.bounds_at("database", moment) or Bounds(replicas.min, replicas.max),
            scheduled="database" in season.targets,
            vpc_id=network.vpc_id,
            subnet_ids=network.data_subnet_ids,
            topic_arn=notices.topic_arn,
            tags=tags,
            backup_tags={BACKUP_TAG: stack},
        ),
    )
    cache = platform.cache and Cache(
        f"{stack}-cache",
        CacheArgs(
            settings=platform.cache,
            bounds=season.bounds_at("cache", moment)
            or Bounds(platform.cache.replicas.min, platform.cache.replicas.max),
            scheduled="cache" in season.targets,
            vpc_id=network.vpc_id,
            subnet_ids=network.data_subnet_ids,
            tags=tags,
        ),
    )
    logs = LogBucket(
        f"{stack}-logs",
        BucketArgs(
            keep_days=platform.balancer.access_log_days,
            protected=platform.database.deletion_protection,
            tags=tags,
        ),
    )
    files = platform.files and Files(
        f"{stack}-files",
        FilesArgs(
            settings=platform.files,
            vpc_id=network.vpc_id,
            subnet_ids=network.data_subnet_ids,
            tags=tags,
            backup_tags={BACKUP_TAG: stack},
            protected=platform.database.deletion_protection,
            logs=logs,
        ),
    )
    protected = {"Aurora": database.arn}
    protected |= {"EFS": files.arn} if files else {}
    protected |= {"S3": files.bucket.arn} if files and files.bucket else {}
    backup = Backup(
        f"{stack}-backup",
        BackupArgs(
            settings=platform.backup,
            stack=stack,
            protected=protected,
            tags=tags,
        ),
    )
    site_certificate, edge_certificate = _certificates(settings, tags)
    edge = platform.edge
    key = edge and OriginKey(f"{stack}-origin", OriginKeyArgs(edge.key_number, tags))
    closed = platform.closed_origin
    balancer = Balancer(
        stack,
        BalancerArgs(
            vpc_id=network.vpc_id,
            subnet_ids=network.public_subnet_ids,
            certificate_arn=site_certificate,
            refusal="403" if closed else "404",
            visitors=visitors() if closed else None,
            deletion_protection=platform.database.deletion_protection,
            logs=logs,
            internet=network.internet,
            tags=tags,
        ),
    )
    front = front_rules(platform.firewall, platform.session_cookie)
    Firewall(
        f"{stack}-balancer",
        FirewallArgs(
            scope="REGIONAL",
            rules=origin_rules() if closed else front,
            log_days=platform.firewall.log_days,
            redacted_headers=[HEADER] if edge else [],
            balancer_arn=balancer.arn,
            tags=tags,
        ),
    )
    surroundings = Surroundings(
        stack=stack,
        region=settings.region,
        domain=platform.domain,
        database=database.outputs,
        cache=cache and cache.outputs,
        files=files and _way_in(files),
        # Whether or not it is closed yet: its instances are replaced once then, not twice.
        behind_cdn=edge is not None,
    )
    # While they boot, instances reach out for packages and mount the files: where the zone's mount
    # target is not there yet they fail, and are replaced.
    boots_after = [*network.ways_out, *(files.mount_targets if files else ())]
    priorities = rule_priorities(platform.tiers)
    tiers = {
        name: WebTier(
            f"{stack}-{name}",
            WebTierArgs(
                tier=name,
                settings=tier,
                bounds=season.bounds_at(name, moment) or Bounds(tier.min, tier.max),
                scheduled=name in season.targets,
                priority=priorities[name],
                vpc_id=network.vpc_id,
                subnet_ids=network.application_subnet_ids,
                boots_after=boots_after,
                listener_arn=balancer.listener_arn,
                balancer_arn_suffix=balancer.arn_suffix,
                balancer_security_group_id=balancer.security_group_id,
                surroundings=surroundings,
                tags=tags,
                origin_keys=key.values if key and closed else (),
            ),
        )
        for name, tier in platform.tiers.items()
    }
    cdn = (
        Edge(
            f"{stack}-edge",
            EdgeArgs(
                settings=edge,
                aliases=platform.names,
                default_root_object=platform.default_root_object,
                certificate_arn=edge_certificate,
                web_acl_arn=Firewall(
                    f"{stack}-edge",
                    FirewallArgs("CLOUDFRONT", front, platform.firewall.log_days, tags),
                ).web_acl_arn,
                balancer_dns_name=balancer.dns_name,
                origin_key=key.values[0],
                takers=[tier.rule for tier in tiers.values()],
                logs=logs,
                protected=platform.database.deletion_protection,
                tags=tags,
            ),
        )
        if edge and key
        else None
    )
    if platform.dns and platform.dns.records:
        Names(
            f"{stack}-names",
            NamesArgs(
                zone_id=platform.dns.zone_id,
                hosts=[host for host in platform.names if platform.dns.holds(host)],
                target=cdn.domain_name if cdn else balancer.dns_name,
                target_zone_id=cdn.zone_id if cdn else balancer.zone_id,
                ipv6=cdn is not None,
            ),
        )
    workers = {
        name: Workers(
            f"{stack}-{name}",
            WorkersArgs(
                kind=name,
                settings=job,
                bounds=season.bounds_at(name, moment) or Bounds(job.min, job.max),
                scheduled=name in season.targets,
                vpc_id=network.vpc_id,
                subnet_ids=network.application_subnet_ids,
                boots_after=boots_after,
                surroundings=surroundings,
                tags=tags,
            ),
        )
        for name, job in (platform.workers.groups if platform.workers else {}).items()
    }
    groups = {**tiers, **workers}
    Access(
        f"{stack}-access",
        AccessArgs(
            doors={"database": Door(database.security_group_id, database.port)}
            | ({"cache": Door(cache.security_group_id, cache.port)} if cache else {})
            | ({"files": Door(files.security_group_id, files.port)} if files else {}),
            clients={name: group.security_group_id for name, group in groups.items()},
            tags=tags,
        ),
    )
    told = Refreshes(
        f"{stack}-refreshes",
        RefreshesArgs(
            stack,
            {name: group.group_name for name, group in groups.items()},
            notices.topic_arn,
            tags,
        ),
    )
    seen = Observability(
        f"{stack}-observability",
        ObservabilityArgs(
            stack=stack,
            region=settings.region,
            season=settings.season,
            settings=platform.observability,
            watched=watch(
                stack,
                platform,
                season.targets,
                MetricNames(
                    balancer=balancer.arn_suffix,
                    vault=backup.vault_name,
                    cluster=database.cluster_identifier,
                    groups={name: group.group_name for name, group in groups.items()},
                    target_groups={name: tier.target_group_suffix for name, tier in tiers.items()},
                    queues={
                        name: (group.queue_name, group.failed_queue_name)
                        for name, group in workers.items()
                        if group.queue_name is not None and group.failed_queue_name is not None
                    },
                    cache=cache and cache.group_id,
                    refresh_rules=told.rule_names,
                    backed_up=tuple(protected),
                ),
            ),
            topic_arn=notices.topic_arn,
            tags=tags,
        ),
    )
    moved = {name: group.group_name for name, group in groups.items()}
    moved |= {"database": database.resource_id, "balancer": balancer.arn}
    if cache is not None and cache.resource_id is not None:
        moved["cache"] = cache.resource_id
    floors = [
        Floor(name, SCALABLE[kind], moved[name])
        for name in season.targets
        if (kind := kind_at(name)) in SCALABLE
    ]
    if floors:
        Floors(f"{stack}-floors", FloorsArgs(stack, floors, tags))
    _schedule(stack, season, moment, moved, tags)
    return Platform(
        outputs={
            "database": database.outputs,
            **({"cache": cache.outputs} if cache else {}),
            **({"files": files.outputs} if files else {}),
            "balancer": {"dns_name": balancer.dns_name, "zone_id": balancer.zone_id},
            **({"edge": cdn.outputs} if cdn else {}),
            "tiers": {
                name: {"group": tier.group_name, "target_group": tier.target_group_arn}
                for name, tier in tiers.items()
            },
            "observability": {
                "dashboard": seen.dashboard_name,
                "topic_arn": notices.topic_arn,
            },
        }
        | (
            {
                "workers": {
                    name: {"group": group.group_name, "queue_url": group.queue_url}
                    for name, group in workers.items()
                }
            }
            if workers
            else {}
        )
    )


def _certificates(
    settings: StackSettings, tags: Mapping[str, str]
) -> tuple[pulumi.Input[str], pulumi.Input[str]]:
    """The load balancer's and, of us-east-1, the CDN's; where there is no CDN they are the same."""
    stack, platform = settings.stack, settings.platform
    zone_id = platform.dns.zone_id if platform.dns else None
    names = [name for name in platform.names if certifiable(name)]
    site: pulumi.Input[str]
    validation: Sequence[aws.route53.Record] = ()
    if platform.certificate_arn is None:
        requested = Certificate(stack, CertificateArgs(names, zone_id, tags))
        site, validation = requested.arn, requested.validation
    else:
        site = platform.certificate_arn
    if platform.edge is None or settings.region == GLOBAL_REGION:
        return site, (platform.edge and platform.edge.certificate_arn) or site
    if platform.edge.certificate_arn is not None:
        return site, platform.edge.certificate_arn
    args = CertificateArgs(names, zone_id, tags, GLOBAL_REGION, validation)
    return site, Certificate(f"{stack}-edge", args).arn


def _way_in(files: Files) -> FilesAccess:
    """Nodes mount the first access point that the stack's file names."""
    point = next(iter(files.access_points.values()))
    return FilesAccess(
        point.file_system_id,
        files.arn,
        point.id,
        point.arn,
        bucket_name=files.bucket.name if files.bucket else None,
        bucket_arn=files.bucket.arn if files.bucket else None,
    )


def _schedule(
    stack: str,
    season: Season,
    now: datetime,
    moved: Mapping[str, pulumi.Output[str]],
    tags: Mapping[str, str],
) -> None:
    """The actions of every target; `moved` is what AWS calls each, by its season name."""
    for name in season.targets:
        kind = kind_at(name)
        target = (
            ScheduledTarget(
                kind,
                moved[name],
                dimension=SCALABLE[kind].dimension,
                namespace=SCALABLE[kind].namespace,
            )
            if kind in SCALABLE
            else ScheduledTarget(kind, moved[name])
        )
        Schedule(f"{stack}-{name}", ScheduleArgs(stack, target, season.actions_at(name, now), tags))
