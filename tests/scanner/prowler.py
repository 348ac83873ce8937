"""Runs prowler in its own environment and reads what it found, by the controls of the list."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
from collections.abc import Mapping, Sequence, Set
from pathlib import Path
from typing import Any, Final

from cli.localcloud import project
from cli.localcloud.server import LocalCloud
from infra.paths import PROJECT_ROOT
from infra.policy.catalogue import CONTROLS
from tests.scanner.known import Failed

ENVIRONMENT: Final = PROJECT_ROOT / ".venv-scan"
LOCK: Final = Path(__file__).with_name("requirements.lock")
FRAMEWORK: Final = "aws_foundational_security_best_practices_aws"
REGION: Final = "eu-north-1"
# Where AWS keeps what belongs to CloudFront; nothing else of a stack is there.
EDGE_REGION: Final = "us-east-1"
EDGE_SERVICES: Final = ("CloudFront", "WAF", "ACM")
# The control asks for one subscription of its kind in the Region; prowler's check fails each
# subscription of another kind besides (5.46.0).
ONE_IS_ENOUGH: Final = frozenset(
    {
        "rds_cluster_critical_event_subscription",
        "rds_instance_critical_event_subscription",
        "rds_instance_event_subscription_parameter_groups",
        "rds_instance_event_subscription_security_groups",
    }
)


def ensure() -> Path:
    """Prowler's environment, made from its lock where it is missing; its Python."""
    python = ENVIRONMENT / "bin" / "python"
    stamp = ENVIRONMENT / f"installed-{hashlib.sha256(LOCK.read_bytes()).hexdigest()[:16]}"
    if not stamp.exists():
        subprocess.run([sys.executable, "-m", "venv", "--clear", str(ENVIRONMENT)], check=True)
        subprocess.run(
            [
                *(str(python), "-m", "pip", "install", "--disable-pip-version-check", "--quiet"),
                *("--require-hashes", "-r", str(LOCK)),
            ],
            check=True,
        )
        stamp.touch()
    return python


def mapping(python: Path) -> Mapping[str, list[str]]:
    """Prowler's checks -> controls of the list, by its own compliance file."""
    (file,) = python.parents[1].glob(f"lib/*/site-packages/prowler/compliance/aws/{FRAMEWORK}.json")
    ours = {control.id for control in CONTROLS}
    found: dict[str, list[str]] = {}
    for requirement in json.loads(file.read_text())["Requirements"]:
        if requirement["Id"] in ours:
            for check in requirement["Checks"]:
                found.setdefault(check, []).append(requirement["Id"])
    return found


def scan(cloud: LocalCloud, folder: Path) -> tuple[list[Failed], set[str]]:
    """What fails of the list in the local cloud, and the controls that were looked at."""
    python = ensure()
    checks = mapping(python)
    environment = {
        "PATH": os.environ["PATH"],
        "HOME": str(folder),
        "PYTHONWARNINGS": "ignore",
        **project.environment(cloud),
    }
    subprocess.run(
        [
            *(str(python.with_name("prowler")), "aws", "--region", REGION, EDGE_REGION),
            *("--output-formats", "json-ocsf", "--output-directory", str(folder)),
            *("--output-filename", "scan", "--no-banner", "--ignore-exit-code-3"),
            *("--check", *sorted(checks)),
        ],
        cwd=folder,
        env=environment,
        check=True,
        stdout=subprocess.DEVNULL,
        timeout=900,
    )
    found: list[dict[str, Any]] = json.loads((folder / "scan.ocsf.json").read_text())
    looked_at = {
        control for finding in found for control in checks[finding["metadata"]["event_code"]]
    }
    return failures(found, checks, of_others(cloud)), looked_at


def failures(
    found: Sequence[Mapping[str, Any]], checks: Mapping[str, Sequence[str]], others: Set[str]
) -> list[Failed]:
    """The failed controls among prowler's findings (OCSF), on what the stack has created.

    `checks` says which controls a check stands for, `others` are the ids of what is not the
    stack's.
    """
    enough = {
        (check, finding["cloud"]["region"])
        for finding in found
        for check in (finding["metadata"]["event_code"],)
        if check in ONE_IS_ENOUGH and finding["status_code"] == "PASS"
    }
    return [
        Failed(control, check, resource, finding["status_detail"])
        for finding in found
        for check, region in ((finding["metadata"]["event_code"], finding["cloud"]["region"]),)
        for resource in (finding["resources"][0]["uid"],)
        if finding["status_code"] == "FAIL"
        and resource.rsplit("/", 1)[-1] not in others
        and (check, region) not in enough
        for control in checks[check]
        if region != EDGE_REGION or control.split(".")[0] in EDGE_SERVICES
    ]


def of_others(cloud: LocalCloud) -> set[str]:
    """Ids of what is in every account from the start: the default VPC and what is in it."""
    ids: set[str] = set()
    for region in (REGION, EDGE_REGION):
        ec2 = cloud.client("ec2", region)
        for vpc in ec2.describe_vpcs(Filters=[{"Name": "is-default", "Values": ["true"]}])["Vpcs"]:
            inside = [{"Name": "vpc-id", "Values": [vpc["VpcId"]]}]
            ids.add(vpc["VpcId"])
            ids |= {
                acl["NetworkAclId"]
                for acl in ec2.describe_network_acls(Filters=inside)["NetworkAcls"]
            }
            ids |= {
                group["GroupId"]
                for group in ec2.describe_security_groups(Filters=inside)["SecurityGroups"]
            }
            ids |= {
                subnet["SubnetId"] for subnet in ec2.describe_subnets(Filters=inside)["Subnets"]
            }
    return ids
