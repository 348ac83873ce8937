"""S3: buckets, their options (each a resource of its own here) and small objects."""

from __future__ import annotations

from typing import Any, Final

from cli.localcloud.provider.aws import AwsError, Cloud
from cli.localcloud.provider.machine import Autoname, Live, Read, Row, Step, Tagging
from cli.localcloud.provider.values import Properties

_FIRST_REGION: Final = "us-east-1"  # a bucket in it names no place


def _new_bucket(cloud: Cloud, state: Properties, _: frozenset[str]) -> list[dict[str, Any]]:
    request: dict[str, Any] = {"Bucket": state["bucket"]}
    if cloud.region != _FIRST_REGION:
        request["CreateBucketConfiguration"] = {"LocationConstraint": cloud.region}
    if state.get("objectLockEnabled"):
        request["ObjectLockEnabledForBucket"] = True
    return [request]


def _read_bucket(cloud: Cloud, state: Properties) -> Live | None:
    bucket = {"Bucket": state["id"]}
    cloud.call("s3", "get_bucket_location", **bucket)
    try:
        tags = cloud.call("s3", "get_bucket_tagging", **bucket)["TagSet"]
    except AwsError as error:
        if not error.not_found:
            raise
        tags = []
    name = state["id"]
    return {
        "bucket": name,
        "arn": f"arn:{cloud.partition}:s3:::{name}",
        "bucketDomainName": f"{name}.s3.amazonaws.com",
        "bucketRegionalDomainName": f"{name}.s3.{cloud.region}.amazonaws.com",
        "TagSet": tags,
    }


def _empty(cloud: Cloud, state: Properties, _: frozenset[str]) -> None:
    """Delete what is in a bucket, all versions, where the program said that it may be."""
    if not state.get("forceDestroy"):
        return
    found = cloud.call("s3", "list_object_versions", Bucket=state["id"])
    for entry in [*found.get("Versions", []), *found.get("DeleteMarkers", [])]:
        cloud.call(
            "s3",
            "delete_object",
            Bucket=state["id"],
            Key=entry["Key"],
            VersionId=entry["VersionId"],
        )


BUCKET: Final = Row(
    type="aws:s3/bucket:Bucket",
    service="s3",
    create=Step("create_bucket", "bucket objectLockEnabled", build=_new_bucket),
    id="={bucket}",
    read=_read_bucket,
    key={"Bucket": "id"},
    delete=(Step(run=_empty), "delete_bucket"),
    replace="bucket bucketPrefix objectLockEnabled",
    defaults={"forceDestroy": False},
    ignored="forceDestroy",
    autoname=Autoname("bucket", max_length=63, lower=True),
    tags=Tagging(
        "put_bucket_tagging",
        "delete_bucket_tagging",
        key="Bucket",
        by="id",
        create="",
        whole=lambda pairs: {"Tagging": {"TagSet": pairs}},
    ),
)

_BUCKET: Final = {"Bucket": "bucket"}


def _option(
    kind: str, prop: str, *, put: str, member: str, get: str, delete: str, wrap: str = ""
) -> Row:
    """An option of a bucket that is one block or list of a request.

    `wrap` is the member inside `member` that holds it.
    """
    inside = f"{member}.{wrap}" if wrap else member
    return Row(
        type=f"aws:s3/{kind[0].lower()}{kind[1:]}:{kind}",
        service="s3",
        create=put,
        id="={bucket}",
        read=Read(get, "@", _BUCKET),
        key=_BUCKET,
        update=(Step(put, prop, whole=True),),
        delete=delete,
        names={prop: member},
        reads={prop: inside, "bucket": lambda _: None},
        replace="bucket expectedBucketOwner",
    )


def _versioning(answer: dict[str, Any], _: Properties) -> Live | None:
    return {"VersioningConfiguration": answer} if answer.get("Status") else None


VERSIONING: Final = Row(
    type="aws:s3/bucketVersioning:BucketVersioning",
    service="s3",
    create="put_bucket_versioning",
    id="={bucket}",
    read=Read("get_bucket_versioning", _versioning, _BUCKET),
    key=_BUCKET,
    update=(Step("put_bucket_versioning", "versioningConfiguration", whole=True),),
    # A bucket that ever had versions can only stop making new ones.
    delete=Step(
        "put_bucket_versioning", fixed={"VersioningConfiguration": {"Status": "Suspended"}}
    ),
    replace="bucket expectedBucketOwner",
)

ENCRYPTION: Final = _option(
    "BucketServerSideEncryptionConfiguration",
    "rules",
    put="put_bucket_encryption",
    member="ServerSideEncryptionConfiguration",
    get="get_bucket_encryption",
    delete="delete_bucket_encryption",
    wrap="Rules",
)
LIFECYCLE: Final = _option(
    "BucketLifecycleConfiguration",
    "rules",
    put="put_bucket_lifecycle_configuration",
    member="LifecycleConfiguration",
    get="get_bucket_lifecycle_configuration",
    delete="delete_bucket_lifecycle",
)
POLICY: Final = Row(
    type="aws:s3/bucketPolicy:BucketPolicy",
    service="s3",
    create="put_bucket_policy",
    id="={bucket}",
    read=Read("get_bucket_policy", "@", _BUCKET),
    key=_BUCKET,
    update=(Step("put_bucket_policy", "policy"),),
    delete="delete_bucket_policy",
    replace="bucket",
    documents="policy",
)

_ACCESS: Final = "blockPublicAcls blockPublicPolicy ignorePublicAcls restrictPublicBuckets"


def _access_block(_: Cloud, state: Properties, __: frozenset[str]) -> list[dict[str, Any]]:
    flags = {prop[0].upper() + prop[1:]: state.get(prop, False) for prop in _ACCESS.split()}
    return [{"Bucket": state["bucket"], "PublicAccessBlockConfiguration": flags}]


PUBLIC_ACCESS_BLOCK: Final = Row(
    type="aws:s3/bucketPublicAccessBlock:BucketPublicAccessBlock",
    service="s3",
    create=Step("put_public_access_block", f"bucket {_ACCESS}", build=_access_block),
    id="={bucket}",
    read=Read("get_public_access_block", "PublicAccessBlockConfiguration", _BUCKET),
    key=_BUCKET,
    update=(Step("put_public_access_block", _ACCESS, build=_access_block),),
    delete="delete_public_access_block",
    replace="bucket",
    ignored="skipDestroy",
    defaults=dict.fromkeys(_ACCESS.split(), False),
)


def _ownership(_: Cloud, state: Properties, __: frozenset[str]) -> list[dict[str, Any]]:
    rule = {"ObjectOwnership": state["rule"]["objectOwnership"]}
    return [{"Bucket": state["bucket"], "OwnershipControls": {"Rules": [rule]}}]


OWNERSHIP: Final = Row(
    type="aws:s3/bucketOwnershipControls:BucketOwnershipControls",
    service="s3",
    create=Step("put_bucket_ownership_controls", "bucket rule", build=_ownership),
    id="={bucket}",
    read=Read("get_bucket_ownership_controls", "OwnershipControls", _BUCKET),
    key=_BUCKET,
    update=(Step("put_bucket_ownership_controls", "rule", build=_ownership),),
    delete="delete_bucket_ownership_controls",
    replace="bucket",
    reads={"rule": "Rules[0]"},
)

_LOGGING: Final = {"targetBucket": "TargetBucket", "targetPrefix": "TargetPrefix"}


def _logging(_: Cloud, state: Properties, __: frozenset[str]) -> list[dict[str, Any]]:
    enabled = {member: state[prop] for prop, member in _LOGGING.items() if prop in state}
    return [{"Bucket": state["bucket"], "BucketLoggingStatus": {"LoggingEnabled": enabled}}]


LOGGING: Final = Row(
    type="aws:s3/bucketLogging:BucketLogging",
    service="s3",
    create=Step("put_bucket_logging", f"bucket {' '.join(_LOGGING)}", build=_logging),
    id="={bucket}",
    read=Read("get_bucket_logging", "LoggingEnabled", _BUCKET),
    key=_BUCKET,
    update=(Step("put_bucket_logging", " ".join(_LOGGING), build=_logging),),
    delete=Step("put_bucket_logging", fixed={"BucketLoggingStatus": {}}),
    replace="bucket expectedBucketOwner",
)


def _read_object(cloud: Cloud, state: Properties) -> Live | None:
    found = cloud.call("s3", "get_object", Bucket=state["bucket"], Key=state["key"])
    content = found["Body"].read().decode()
    arn = f"arn:{cloud.partition}:s3:::{state['bucket']}/{state['key']}"
    shown = {k: v for k, v in found.items() if k not in ("Body", "Metadata", "ResponseMetadata")}
    return shown | {"content": content, "etag": found["ETag"].strip('"'), "arn": arn}


OBJECT: Final = Row(
    type="aws:s3/bucketObjectv2:BucketObjectv2",
    service="s3",
    create="put_object",
    id="={bucket}/{key}",
    read=_read_object,
    key={"Bucket": "bucket", "Key": "key"},
    update=(Step("put_object", "content contentType cacheControl", whole=True),),
    delete="delete_object",
    names={"content": "Body"},
    replace="bucket key",
    reads={"content": "content"},
    computed="contentType serverSideEncryption storageClass etag",
    ignored="forceDestroy",
)

ROWS: Final = (
    BUCKET,
    VERSIONING,
    ENCRYPTION,
    LIFECYCLE,
    POLICY,
    PUBLIC_ACCESS_BLOCK,
    OWNERSHIP,
    LOGGING,
    OBJECT,
)
