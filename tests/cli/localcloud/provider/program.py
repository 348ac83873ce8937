"""One Pulumi program with every resource type of the provider's table."""

from __future__ import annotations

import base64
import json
from dataclasses import dataclass

import pulumi
import pulumi_aws as aws

ASSUME = json.dumps(
    {
        "Version": "2012-10-17",
        "Statement": [
            {
                "Effect": "Allow",
                "Principal": {"Service": "ec2.amazonaws.com"},
                "Action": "sts:AssumeRole",
            }
        ],
    }
)
READ_PARAMETERS = json.dumps(
    {
        "Version": "2012-10-17",
        "Statement": [{"Effect": "Allow", "Action": "ssm:GetParameter", "Resource": "*"}],
    }
)


@dataclass(frozen=True)
class Variant:
    """What differs between two runs: `color` is updated in place, `names` replaces."""

    color: str = "blue"
    instance_type: str = "t3.micro"
    name: str = "a"
    cidr: str = "10.0.0.0/16"
    owner: str | None = None


def everything(variant: Variant = Variant()) -> None:
    """Create one or more of every type."""
    tags = {"color": variant.color, "stack": pulumi.get_stack()}
    if variant.owner is not None:
        tags["owner"] = variant.owner
    stack = pulumi.get_stack()
    zones = aws.get_availability_zones_output(state="available").names
    pulumi.export("account", aws.get_caller_identity_output().account_id)
    pulumi.export("region", aws.get_region_output().region)

    vpc = aws.ec2.Vpc("vpc", cidr_block=variant.cidr, enable_dns_hostnames=True, tags=tags)
    prefix = variant.cidr.rpartition(".0.0/")[0]
    subnets = [
        aws.ec2.Subnet(
            f"subnet-{i}",
            vpc_id=vpc.id,
            cidr_block=f"{prefix}.{i}.0/24",
            availability_zone=zones[i],
            map_public_ip_on_launch=i == 0,
            tags=tags,
        )
        for i in range(2)
    ]
    gateway = aws.ec2.InternetGateway("gateway", vpc_id=vpc.id, tags=tags)
    table = aws.ec2.RouteTable("table", vpc_id=vpc.id, tags=tags)
    aws.ec2.Route(
        "route",
        route_table_id=table.id,
        destination_cidr_block="0.0.0.0/0",
        gateway_id=gateway.id,
    )
    aws.ec2.RouteTableAssociation("association", route_table_id=table.id, subnet_id=subnets[0].id)
    address = aws.ec2.Eip(f"address-{variant.name}", domain="vpc", tags=tags)
    aws.ec2.NatGateway(
        "nat",
        allocation_id=address.id,
        subnet_id=subnets[0].id,
        tags=tags,
        opts=pulumi.ResourceOptions(depends_on=[gateway]),
    )
    security = aws.ec2.SecurityGroup("security", vpc_id=vpc.id, description="web", tags=tags)
    aws.vpc.SecurityGroupIngressRule(
        "ingress",
        security_group_id=security.id,
        ip_protocol="tcp",
        from_port=80,
        to_port=80,
        cidr_ipv4="10.0.0.0/8",
        description=f"to {variant.color}",
        tags=tags,
    )
    aws.vpc.SecurityGroupEgressRule(
        "egress", security_group_id=security.id, ip_protocol="-1", cidr_ipv4="0.0.0.0/0"
    )
    aws.ec2.VpcEndpoint(
        "endpoint",
        vpc_id=vpc.id,
        service_name="com.amazonaws.eu-north-1.s3",
        route_table_ids=[table.id],
        tags=tags,
    )

    role = aws.iam.Role("role", assume_role_policy=ASSUME, description=variant.color, tags=tags)
    aws.iam.RolePolicyAttachment(
        "attachment",
        role=role.name,
        policy_arn="arn:aws:iam::aws:policy/AmazonSSMManagedInstanceCore",
    )
    aws.iam.RolePolicy("inline", role=role.name, policy=READ_PARAMETERS)
    profile = aws.iam.InstanceProfile("profile", role=role.name, tags=tags)

    balancer = aws.lb.LoadBalancer(
        "balancer",
        name=f"{stack}-{variant.name}",
        security_groups=[security.id],
        subnets=[subnet.id for subnet in subnets],
        drop_invalid_header_fields=True,
        idle_timeout=120 if variant.color == "blue" else 90,
        tags=tags,
        opts=pulumi.ResourceOptions(depends_on=[gateway]),
    )
    targets = aws.lb.TargetGroup(
        "targets",
        port=80,
        protocol="HTTP",
        vpc_id=vpc.id,
        deregistration_delay=30,
        slow_start=30,
        health_check={"path": f"/{variant.color}", "interval": 10, "matcher": "200-299"},
        stickiness={"type": "lb_cookie", "cookie_duration": 3600, "enabled": True},
        tags=tags,
    )
    certificate = aws.acm.Certificate(
        "certificate",
        domain_name=f"{variant.name}.example.org",
        subject_alternative_names=[f"www.{variant.name}.example.org"],
        validation_method="DNS",
        tags=tags,
    )
    listener = aws.lb.Listener(
        "listener",
        load_balancer_arn=balancer.arn,
        port=443,
        protocol="HTTPS",
        ssl_policy="ELBSecurityPolicy-TLS13-1-2-2021-06",
        certificate_arn=certificate.arn,
        default_actions=[
            {
                "type": "fixed-response",
                "fixed_response": {
                    "content_type": "text/plain",
                    "message_body": variant.color,
                    "status_code": "404",
                },
            }
        ],
        tags=tags,
    )
    aws.lb.ListenerRule(
        "rule",
        listener_arn=listener.arn,
        priority=10 if variant.color == "blue" else 20,
        conditions=[
            {"host_header": {"values": [f"{variant.color}.example.org"]}},
            {"path_pattern": {"values": ["/login", "/"]}},
        ],
        actions=[{"type": "forward", "target_group_arn": targets.arn}],
        tags=tags,
    )

    template = aws.ec2.LaunchTemplate(
        "template",
        image_id="ami-12c6146b",
        instance_type=variant.instance_type,
        update_default_version=True,
        description=variant.color,
        iam_instance_profile={"name": profile.name},
        metadata_options={"http_tokens": "required", "http_endpoint": "enabled"},
        block_device_mappings=[
            {
                "device_name": "/dev/xvda",
                "ebs": {"encrypted": "true", "volume_type": "gp3", "volume_size": 20},
            }
        ],
        network_interfaces=[
            {
                "device_index": 0,
                "associate_public_ip_address": "false",
                "security_groups": [security.id],
            }
        ],
        tag_specifications=[{"resource_type": "instance", "tags": {"color": variant.color}}],
        user_data=base64.b64encode(b"#!/bin/sh\n").decode(),
        tags=tags,
    )
    group = aws.autoscaling.Group(
        "group",
        min_size=1,
        max_size=6 if variant.color == "blue" else 8,
        vpc_zone_identifiers=[subnet.id for subnet in subnets],
        target_group_arns=[targets.arn],
        health_check_type="ELB",
        health_check_grace_period=120,
        default_instance_warmup=120,
        mixed_instances_policy={
            "instances_distribution": {"on_demand_percentage_above_base_capacity": 100},
            "launch_template": {
                "launch_template_specification": {
                    "launch_template_id": template.id,
                    "version": template.latest_version.apply(str),
                },
                "overrides": [
                    {"instance_type": variant.instance_type},
                    {"instance_type": "t3.large"},
                ],
            },
        },
        instance_refresh={"strategy": "Rolling", "preferences": {"min_healthy_percentage": 90}},
        warm_pool={"pool_state": "Stopped", "max_group_prepared_capacity": 4},
        enabled_metrics=[aws.autoscaling.Metric.GROUP_MIN_SIZE],
        suspended_processes=["AZRebalance"],
        termination_policies=["OldestLaunchTemplate", "Default"],
        tags=[{"key": "color", "value": variant.color, "propagate_at_launch": True}],
    )
    aws.autoscaling.Policy(
        "tracking",
        autoscaling_group_name=group.name,
        policy_type="TargetTrackingScaling",
        target_tracking_configuration={
            "predefined_metric_specification": {
                "predefined_metric_type": "ASGAverageCPUUtilization"
            },
            "target_value": 60.0 if variant.color == "blue" else 50.0,
        },
    )
    aws.autoscaling.Schedule(
        "morning",
        autoscaling_group_name=group.name,
        scheduled_action_name=f"{stack}-{variant.name}-morning",
        recurrence="45 7 * * 1-5" if variant.name == "a" else "40 7 * * 1-5",
        time_zone="Europe/Stockholm",
        min_size=3 if variant.color == "blue" else 4,
        max_size=-1,
        desired_capacity=-1,
    )

    database_subnets = aws.rds.SubnetGroup(
        "database",
        name=f"{stack}-{variant.name}",
        subnet_ids=[subnet.id for subnet in subnets],
        tags=tags,
    )
    parameters = aws.rds.ClusterParameterGroup(
        "parameters",
        family="aurora-postgresql16",
        parameters=[
            {
                "name": "log_min_duration_statement",
                "value": "500" if variant.color == "blue" else "900",
                "apply_method": "immediate",
            }
        ],
        tags=tags,
    )
    cluster = aws.rds.Cluster(
        "cluster",
        engine=aws.rds.EngineType.AURORA_POSTGRESQL,
        engine_version="16.6",
        database_name=f"lms{variant.name}",
        master_username="lms",
        master_password=pulumi.Output.secret("correct-horse-battery"),
        db_subnet_group_name=database_subnets.name,
        db_cluster_parameter_group_name=parameters.name,
        vpc_security_group_ids=[security.id],
        backup_retention_period=7 if variant.color == "blue" else 14,
        storage_encrypted=True,
        iam_database_authentication_enabled=True,
        enabled_cloudwatch_logs_exports=["postgresql"],
        serverlessv2_scaling_configuration={"min_capacity": 0.5, "max_capacity": 4},
        skip_final_snapshot=True,
        tags=tags,
    )
    writer = aws.rds.ClusterInstance(
        "writer",
        cluster_identifier=cluster.cluster_identifier,
        engine=aws.rds.EngineType.AURORA_POSTGRESQL,
        instance_class="db.r6g.large" if variant.color == "blue" else "db.r6g.xlarge",
        performance_insights_enabled=True,
        tags=tags,
    )
    scalable = aws.appautoscaling.Target(
        "scalable",
        service_namespace="rds",
        resource_id=cluster.cluster_identifier.apply(lambda name: f"cluster:{name}"),
        scalable_dimension="rds:cluster:ReadReplicaCount",
        min_capacity=1,
        max_capacity=5 if variant.color == "blue" else 6,
        opts=pulumi.ResourceOptions(depends_on=[writer]),
    )
    aws.appautoscaling.Policy(
        "reader-cpu",
        service_namespace=scalable.service_namespace,
        resource_id=scalable.resource_id,
        scalable_dimension=scalable.scalable_dimension,
        policy_type="TargetTrackingScaling",
        target_tracking_scaling_policy_configuration={
            "predefined_metric_specification": {
                "predefined_metric_type": "RDSReaderAverageCPUUtilization"
            },
            "target_value": 60 if variant.color == "blue" else 55,
            "scale_in_cooldown": 300,
        },
    )
    aws.appautoscaling.ScheduledAction(
        "reader-morning",
        service_namespace=scalable.service_namespace,
        resource_id=scalable.resource_id,
        scalable_dimension=scalable.scalable_dimension,
        schedule="cron(30 7 ? * MON-FRI *)",
        timezone="Europe/Stockholm",
        scalable_target_action={"min_capacity": 2 if variant.color == "blue" else 3},
    )
