"""CloudFront: moto keeps some of a distribution's configuration; here it is kept as it was sent.

It knows no cache policies.
"""

from __future__ import annotations

from typing import Any, Final

from cli.localcloud.recorded.base import CHANGED, VERSION, Amended, Answer, Asked, Recorded, Thing


def _configs(asked: Asked) -> dict[str, Thing]:
    return asked.store.things("cloudfront", "distribution configuration", "everywhere")


def _keep(asked: Asked) -> Answer:
    request = asked.request
    given = request.get("DistributionConfigWithTags", request)["DistributionConfig"]
    answer = asked.moto()
    distribution = answer["Distribution"]
    _configs(asked)[distribution["Id"]] = given
    distribution["DistributionConfig"] = given
    return answer


def _show(asked: Asked) -> Answer:
    answer = asked.moto()
    given = _configs(asked).get(asked.request["Id"])
    if given is not None:
        answer.get("Distribution", answer)["DistributionConfig"] = given
    return answer


def _list(asked: Asked) -> Answer:
    answer = asked.moto()
    items: list[dict[str, Any]] = answer.get("DistributionList", {}).get("Items") or []
    for item in items:
        given = _configs(asked).get(item["Id"], {})
        item |= {name: value for name, value in given.items() if name in item}
    return answer


def _forget(asked: Asked) -> Answer:
    answer = asked.moto()
    _configs(asked).pop(asked.request["Id"], None)
    return answer


AMENDED: Final = (
    Amended("cloudfront", "CreateDistribution", _keep),
    Amended("cloudfront", "CreateDistributionWithTags", _keep),
    Amended("cloudfront", "UpdateDistribution", _keep),
    Amended("cloudfront", "GetDistribution", _show),
    Amended("cloudfront", "GetDistributionConfig", _show),
    Amended("cloudfront", "ListDistributions", _list),
    Amended("cloudfront", "DeleteDistribution", _forget),
)

RECORDED: Final = (
    Recorded(
        service="cloudfront",
        kind="cache policy",
        key="Id",
        create="CreateCachePolicy",
        unique="CachePolicyConfig.Name",
        taken="CachePolicyAlreadyExists",
        missing="NoSuchCachePolicy",
        describe="GetCachePolicy",
        update="UpdateCachePolicy",
        delete="DeleteCachePolicy",
        list="ListCachePolicies",
        made={"LastModifiedTime": CHANGED, "ETag": VERSION},
        everywhere=True,
    ),
)
