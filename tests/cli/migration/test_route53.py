"""The weights of two records, on moto's Route 53."""

from __future__ import annotations

from collections.abc import Iterator

import boto3
import pytest
from moto import mock_aws

from cli.migration import route53
from cli.migration.spec import Route53
from infra.errors import FirstbellError


@pytest.fixture
def wanted(monkeypatch: pytest.MonkeyPatch) -> Iterator[Route53]:
    """A zone with two weighted records, all of it on the source."""
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "testing")
    monkeypatch.setenv("AWS_DEFAULT_REGION", "eu-north-1")
    with mock_aws():
        client = boto3.client("route53")
        zone = client.create_hosted_zone(Name="example.org", CallerReference="1")
        zone_id = zone["HostedZone"]["Id"].rsplit("/", 1)[-1]
        for identifier, address, weight in (("old", "192.0.2.1", 100), ("aws", "192.0.2.2", 0)):
            client.change_resource_record_sets(
                HostedZoneId=zone_id,
                ChangeBatch={
                    "Changes": [
                        {
                            "Action": "CREATE",
                            "ResourceRecordSet": {
                                "Name": "lms.example.org",
                                "Type": "A",
                                "SetIdentifier": identifier,
                                "Weight": weight,
                                "TTL": 60,
                                "ResourceRecords": [{"Value": address}],
                            },
                        }
                    ]
                },
            )
        yield Route53(zone_id=zone_id, name="lms.example.org", type="A", source="old", target="aws")


def weights(wanted: Route53) -> dict[str, int]:
    return {side: record["Weight"] for side, record in route53.records(wanted).items()}


def test_users_are_sent_to_a_side_and_back_and_twice_is_once(wanted: Route53) -> None:
    assert weights(wanted) == {"source": 100, "target": 0}
    route53.send_to(wanted, "target")
    route53.send_to(wanted, "target")
    assert weights(wanted) == {"source": 0, "target": 100}
    assert route53.records(wanted)["target"]["ResourceRecords"] == [{"Value": "192.0.2.2"}]
    route53.send_to(wanted, "source")
    assert weights(wanted) == {"source": 100, "target": 0}


def test_a_record_that_is_missing_is_named_before_anything_is_changed(wanted: Route53) -> None:
    other = wanted.model_copy(update={"target": "amazon"})
    with pytest.raises(FirstbellError, match="no weighted record 'amazon'"):
        route53.send_to(other, "target")
    assert weights(wanted) == {"source": 100, "target": 0}
    assert [each.severity for each in route53.preflight(other)] == ["blocker"]
    assert [each.severity for each in route53.preflight(wanted)] == ["note"]
    route53.send_to(wanted, "target")
    assert [each.severity for each in route53.preflight(wanted)] == ["blocker"]
