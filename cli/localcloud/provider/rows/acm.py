"""Certificates."""

from __future__ import annotations

from typing import Any, Final

from cli.localcloud.provider.machine import Live, Read, Row, Step, Tagging


def _validation(certificate: Live) -> list[dict[str, Any]]:
    """pulumi-aws shows the record to create beside each name."""
    return [
        {
            "domainName": option["DomainName"],
            "resourceRecordName": option.get("ResourceRecord", {}).get("Name"),
            "resourceRecordType": option.get("ResourceRecord", {}).get("Type"),
            "resourceRecordValue": option.get("ResourceRecord", {}).get("Value"),
        }
        for option in certificate.get("DomainValidationOptions", [])
    ]


def _alternatives(certificate: Live) -> list[str]:
    """AWS lists the domain itself among its alternatives; the program does not."""
    names = certificate.get("SubjectAlternativeNames", [])
    return [name for name in names if name != certificate["DomainName"]]


CERTIFICATE: Final = Row(
    type="aws:acm/certificate:Certificate",
    service="acm",
    create=Step(
        "request_certificate",
        "domainName validationMethod subjectAlternativeNames options keyAlgorithm",
    ),
    id="CertificateArn",
    read=Read("describe_certificate", "Certificate", {"CertificateArn": "id"}),
    key={"CertificateArn": "id"},
    update=(Step("update_certificate_options", "options"),),
    delete="delete_certificate",
    names={"arn": "CertificateArn"},
    replace="domainName validationMethod subjectAlternativeNames keyAlgorithm",
    computed="subjectAlternativeNames validationMethod keyAlgorithm options",
    reads={
        "domainValidationOptions": _validation,
        "subjectAlternativeNames": _alternatives,
        "validationMethod": "DomainValidationOptions[0].ValidationMethod",
    },
    tags=Tagging(
        "add_tags_to_certificate",
        "remove_tags_from_certificate",
        key="CertificateArn",
        by="id",
        keys="",
        read=Read("list_tags_for_certificate", "Tags", {"CertificateArn": "id"}),
    ),
)

CERTIFICATE_VALIDATION: Final = Row(
    type="aws:acm/certificateValidation:CertificateValidation",
    service="acm",
    # pulumi-aws waits until the certificate is issued; the local cloud takes it for that.
    create=Step(
        "describe_certificate",
        "certificateArn",
        build=lambda _, state, __: [{"CertificateArn": state["certificateArn"]}],
    ),
    id="Certificate.CertificateArn",
    read=Read("describe_certificate", "Certificate", {"CertificateArn": "id"}),
    key={"CertificateArn": "id"},
    # It is an act, not a thing.
    delete=Step(run=lambda _, __, ___: None),
    replace="certificateArn validationRecordFqdns",
    ignored="validationRecordFqdns",
)

ROWS: Final = (CERTIFICATE, CERTIFICATE_VALIDATION)
