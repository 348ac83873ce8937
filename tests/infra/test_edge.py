"""The CDN before the balancer: nobody walks around it, and nothing personal is cached."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

from infra.edge import CACHING_DISABLED, PAGES
from tests.e2e.recording_monitor import run_program
from tests.infra.conftest import Recorded

DISTRIBUTION = "aws:cloudfront/distribution:Distribution"
RULE = "aws:lb/listenerRule:ListenerRule"
RECORD = "aws:route53/record:Record"
CERTIFICATE = "aws:acm/certificate:Certificate"
DNS = {"zone": "example.org", "zone_id": "Z0123456789"}


def distribution(made: Recorded) -> Any:
    (found,) = made.of_type(DISTRIBUTION).values()
    return found


def key_values(made: Recorded, tier: str = "tiny-web") -> Any:
    """What the listener rule of a tier wants to see in the header of the origin key."""
    return next(
        (
            condition["httpHeader"]
            for condition in made.of_type(RULE)[tier]["conditions"]
            if "httpHeader" in condition
        ),
        None,
    )


Stack = Callable[[str], Recorded]
STACKS: dict[str, dict[str, Any]] = {
    "no edge": {"dns": DNS},
    "edge": {
        "edge": {},
        "tiers": {"web": {}, "api": {"paths": ["/api/*"], "hosts": ["a.example.org"]}},
    },
    "edge, direct": {
        "dns": DNS,
        "edge": {"serve_direct": True},
        "tiers": {"web": {}, "api": {"paths": ["/api/*"], "hosts": ["a.example.org"]}},
    },
    "third key": {
        "dns": DNS,
        "edge": {
            "key_number": 3,
            "static_paths": ["/theme/*"],
            "default_root_object": "index.php",
        },
        "tiers": {"web": {}, "a": {"hosts": ["*.a.example.org"]}},
    },
    "given": {
        "dns": DNS | {"records": False},
        "certificate_arn": "arn:aws:acm:eu-north-1:111122223333:certificate/a",
        "edge": {"certificate_arn": "arn:aws:acm:us-east-1:111122223333:certificate/b"},
    },
}


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Stack:
    """The program of one of the stacks above, run once."""
    made: dict[str, Recorded] = {}

    def run(name: str) -> Recorded:
        if name not in made:
            folder = str(tmp_path_factory.mktemp("stack"))
            platform = {"domain": "lms.example.org"} | STACKS[name]
            recording, finished = run_program(
                "tiny",
                {"aws:region": "eu-north-1", "firstbell:platform": platform},
                {"FIRSTBELL_HOME": folder, "FIRSTBELL_STACKS": folder},
            )
            assert finished.returncode == 0, finished.stderr
            made[name] = Recorded(recording)
        return made[name]

    return run


def test_without_an_edge_there_is_no_cdn_and_the_balancer_serves_whoever_asks(
    stack: Stack,
) -> None:
    made = stack("no edge")
    assert made.of_type(DISTRIBUTION) == {}
    assert key_values(made) is None
    ingress = made.of_type("aws:vpc/securityGroupIngressRule:SecurityGroupIngressRule")
    assert ingress["tiny-balancer-https"]["cidrIpv4"] == "0.0.0.0/0"


def test_the_balancer_takes_requests_from_the_cdn_alone(stack: Stack) -> None:
    made = stack("edge")
    for tier in ("tiny-web", "tiny-api"):
        assert key_values(made, tier)["httpHeaderName"] == "x-firstbell-origin"
    (listener,) = made.of_type("aws:lb/listener:Listener").values()
    assert listener["defaultActions"][0]["fixedResponse"]["statusCode"] == "403"
    ingress = made.of_type("aws:vpc/securityGroupIngressRule:SecurityGroupIngressRule")
    assert ingress["tiny-balancer-cdn"]["prefixListId"] == "pl-0123456789abcdef0"
    assert "cidrIpv4" not in ingress["tiny-balancer-cdn"]
    assert "tiny-balancer-https" not in ingress


def test_on_a_site_that_serves_already_the_cdn_comes_first_and_the_balancer_closes_afterwards(
    stack: Stack,
) -> None:
    """Whoever comes directly is served as before, with the rules that judged him before, while the
    names are on their way to a CDN that sends the key already."""
    before, first = stack("no edge"), stack("edge, direct")
    assert key_values(first) == key_values(first, "tiny-api") == key_values(before) is None
    for kind in (
        "aws:vpc/securityGroupIngressRule:SecurityGroupIngressRule",
        "aws:lb/listener:Listener",
    ):
        (name,) = (n for n in before.of_type(kind) if n in ("tiny-balancer-https", "tiny-https"))
        assert first.of_type(kind)[name] == before.of_type(kind)[name]
    acl = "aws:wafv2/webAcl:WebAcl"
    assert (
        first.of_type(acl)["tiny-balancer"]["ruleJson"]
        == before.of_type(acl)["tiny-balancer"]["ruleJson"]
        == first.of_type(acl)["tiny-edge"]["ruleJson"]
    )
    assert "Distribution::tiny-edge" in first.dependencies("Record::tiny-names-lms.example.org-A")
    # Closing it changes nothing of the CDN: it goes on sending what the rules then ask for.
    assert distribution(first) == distribution(stack("edge"))
    assert "SecretVersion::tiny-origin-1" in first.dependencies("Distribution::tiny-edge")


def test_the_key_changes_without_a_moment_in_which_a_request_is_refused(stack: Stack) -> None:
    """The rules take the new key before the CDN sends it, and the old one until the next change."""
    assert len(key_values(stack("edge"))["values"]) == 1
    made = stack("third key")
    assert len(key_values(made)["values"]) == 2
    secrets = made.of_type("aws:secretsmanager/secret:Secret")
    assert {"tiny-origin-3", "tiny-origin-2"} <= set(secrets)
    assert "tiny-origin-1" not in secrets
    assert "ListenerRule::tiny-web" in made.dependencies("Distribution::tiny-edge")
    sent = distribution(made)["origins"][0]["customHeaders"][0]
    assert sent["name"] == "x-firstbell-origin"
    depends = made.dependencies("Distribution::tiny-edge")
    assert "SecretVersion::tiny-origin-3" in depends
    assert "SecretVersion::tiny-origin-2" in made.dependencies("ListenerRule::tiny-web")


def test_pages_are_personal_and_passed_on_with_all_that_the_browser_sent(stack: Stack) -> None:
    found = distribution(stack("edge"))
    default = found["defaultCacheBehavior"]
    assert default["cachePolicyId"] == CACHING_DISABLED
    assert "POST" in default["allowedMethods"]
    assert default["targetOriginId"] == "balancer"
    assert found["aliases"] == ["lms.example.org", "a.example.org"]
    assert found["defaultRootObject"] == "index.html"
    assert [each["pathPattern"] for each in found["orderedCacheBehaviors"]] == [f"{PAGES}/*"]


def test_static_paths_are_cached_by_host_so_that_no_tenant_gets_anothers(stack: Stack) -> None:
    made = stack("third key")
    (policy,) = made.of_type("aws:cloudfront/cachePolicy:CachePolicy").values()
    key = policy["parametersInCacheKeyAndForwardedToOrigin"]
    assert key["headersConfig"]["headers"]["items"] == ["Host"]
    assert key["cookiesConfig"]["cookieBehavior"] == "none"
    found = distribution(made)
    assert found["orderedCacheBehaviors"][1]["pathPattern"] == "/theme/*"
    assert found["defaultRootObject"] == "index.php"


def test_a_page_tells_visitors_when_nothing_answers_but_maintenance_has_its_own(
    stack: Stack,
) -> None:
    found = distribution(stack("edge"))
    shown = {each["errorCode"]: each["responsePagePath"] for each in found["customErrorResponses"]}
    assert shown == dict.fromkeys((502, 504), f"{PAGES}/unavailable.html")


def test_the_cdn_logs_to_the_closed_bucket(stack: Stack) -> None:
    made = stack("edge")
    (source,) = made.of_type("aws:cloudwatch/logDeliverySource:LogDeliverySource").values()
    assert (source["logType"], source["region"]) == ("ACCESS_LOGS", "us-east-1")
    destination = "LogDeliveryDestination::tiny-edge"
    assert "BucketPolicy::tiny-logs" in made.dependencies(destination)


def test_the_cdn_has_the_full_web_acl_and_the_balancer_what_is_left(stack: Stack) -> None:
    acls = stack("edge").of_type("aws:wafv2/webAcl:WebAcl")
    edge, balancer = acls["tiny-edge"], acls["tiny-balancer"]
    assert (edge["scope"], edge["region"]) == ("CLOUDFRONT", "us-east-1")
    assert len(json.loads(edge["ruleJson"])) > len(json.loads(balancer["ruleJson"])) == 1


def test_the_log_of_the_balancers_web_acl_hides_the_key(stack: Stack) -> None:
    made = stack("edge")
    logs = made.of_type("aws:wafv2/webAclLoggingConfiguration:WebAclLoggingConfiguration")
    hidden = [field["singleHeader"]["name"] for field in logs["tiny-balancer"]["redactedFields"]]
    assert "x-firstbell-origin" in hidden


def test_names_point_to_the_cdn_and_certificates_are_proven_once(stack: Stack) -> None:
    made = stack("third key")
    certificates = made.of_type(CERTIFICATE)
    assert set(certificates) == {"tiny", "tiny-edge"}
    assert certificates["tiny-edge"]["region"] == "us-east-1"
    for certificate in certificates.values():
        assert certificate["domainName"] == "lms.example.org"
        assert certificate["subjectAlternativeNames"] == ["*.a.example.org"]
    records = made.of_type(RECORD)
    # ACM asks an account for the same records in every Region.
    assert {name for name, each in records.items() if "ttl" in each} == {
        "tiny-lms.example.org",
        "tiny-a.example.org",
    }
    assert {(each["name"], each["type"]) for each in records.values() if "ttl" not in each} == {
        (name, kind) for name in ("lms.example.org", "*.a.example.org") for kind in ("A", "AAAA")
    }
    assert "Distribution::tiny-edge" in made.dependencies("Record::tiny-names-lms.example.org-A")
    assert "CertificateValidation::tiny-edge" in made.dependencies("Distribution::tiny-edge")


def test_without_a_cdn_names_point_to_the_balancer_which_knows_no_ipv6(stack: Stack) -> None:
    made = stack("no edge")
    aliases = {n: each for n, each in made.of_type(RECORD).items() if "aliases" in each}
    assert set(aliases) == {"tiny-names-lms.example.org-A"}
    assert "LoadBalancer::tiny" in made.dependencies("Record::tiny-names-lms.example.org-A")
    assert "CertificateValidation::tiny" in made.dependencies("Listener::tiny-https")


def test_before_a_migration_the_names_stay_where_they_are(stack: Stack) -> None:
    made = stack("given")
    assert not any("aliases" in each for each in made.of_type(RECORD).values())


def test_certificates_that_are_given_are_not_requested(stack: Stack) -> None:
    made = stack("given")
    assert made.of_type(CERTIFICATE) == {}
    viewer = distribution(made)["viewerCertificate"]
    assert viewer["acmCertificateArn"].endswith("certificate/b")
    assert viewer["minimumProtocolVersion"] == "TLSv1.2_2021"
