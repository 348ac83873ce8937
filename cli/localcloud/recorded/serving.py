"""Puts the recorded API before moto: reads a request as AWS would, asks its handler, answers.

moto's own readers and writers of AWS's protocols do the work, for services it lacks as well.
"""

from __future__ import annotations

import io
import re
import threading
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from cli.localcloud.recorded.base import Answer, Asked, Handler, RecordedError, Store
from cli.localcloud.recorded.kinds import HANDLERS

App = Callable[[dict[str, Any], Callable[..., Any]], Iterable[bytes]]
# Status ("200 OK"), headers, body.
Response = tuple[str, list[tuple[str, str]], bytes]

# The signature of a request names its Region and the service it is for.
SIGNED_FOR: Final = re.compile(r"Credential=[^/]+/\d+/([^/]+)/([^/]+)/aws4_request")
# Services whose signing name is not their name in botocore (and boto3).
SIGNED_AS: Final[Mapping[str, str]] = {
    "cloudwatch": "monitoring",
    "efs": "elasticfilesystem",
    "elb": "elasticloadbalancing",
    "elbv2": "elasticloadbalancing",
    "service-quotas": "servicequotas",
}


class _MotoRefusedError(Exception):
    """moto's own answer is an error, and goes to the caller as it is."""

    def __init__(self, response: Response) -> None:
        super().__init__(response[0])
        self.response = response


def recording(moto: App, handlers: Mapping[str, Mapping[str, Handler]] = HANDLERS) -> App:
    """moto's application with the recorded API before it."""
    by_signature: dict[str, list[str]] = {}
    for service in handlers:
        by_signature.setdefault(SIGNED_AS.get(service, service), []).append(service)
    store, lock = Store(), threading.RLock()

    def app(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        signed = SIGNED_FOR.search(environ.get("HTTP_AUTHORIZATION", ""))
        for service in by_signature.get(signed[2], ()) if signed else ():
            environ = _buffered(environ)
            call = _Call.read(service, signed[1] if signed else "", environ)
            if call is not None and call.operation.name in handlers[service]:
                with lock:
                    status, headers, body = call.answer(
                        handlers[service][call.operation.name], moto, store
                    )
                start_response(status, headers)
                return [body]
            environ["wsgi.input"].seek(0)
        return moto(environ, start_response)

    return app


@dataclass(frozen=True)
class _Call:
    """One request for an operation that botocore's model of its service has."""

    service: str
    region: str
    operation: Any
    in_path: dict[str, Any]
    environ: dict[str, Any]
    protocol: str

    @classmethod
    def read(cls, service: str, region: str, environ: dict[str, Any]) -> _Call | None:
        """The call; None where the model has no such operation."""
        from moto.core.request import determine_request_protocol
        from moto.core.routing import get_service_router
        from moto.core.utils import get_service_model
        from werkzeug.exceptions import HTTPException

        model, request = get_service_model(service), _request(environ)
        try:
            protocol = determine_request_protocol(model, request.content_type)
            if protocol == "query" and request.values.get("Version") != model.api_version:
                return None  # one signing name may stand for two services
            operation, in_path = get_service_router(service).match(request)
        except (HTTPException, NotImplementedError):
            return None
        return cls(service, region, operation, in_path, environ, protocol)

    def answer(self, handler: Handler, moto: App, store: Store) -> Response:
        """What the handler answers, once the request is found to be sound."""
        from moto.core.models import DEFAULT_ACCOUNT_ID

        from cli.localcloud.provider.rules.base import validation_code
        from cli.localcloud.provider.validate import violations

        request, inputs = self._parsed(), self.operation.input_shape
        found = violations(request, inputs) if inputs is not None else []
        if found:
            return self._written(RecordedError(validation_code(self.service), "; ".join(found)))
        asked = Asked(
            service=self.service,
            operation=self.operation.name,
            region=self.region,
            account=DEFAULT_ACCOUNT_ID,
            request=request,
            output=self.operation.output_shape,
            inputs=inputs,
            store=store,
            moto=lambda: self._asked_of(moto),
        )
        try:
            return self._written(handler(asked))
        except RecordedError as error:
            return self._written(error)
        except _MotoRefusedError as refused:
            return refused.response

    def _parsed(self) -> dict[str, Any]:
        from moto.core.parse import PROTOCOL_PARSERS

        request = _request(self.environ)
        return PROTOCOL_PARSERS[self.protocol](self.operation).parse(
            {
                "method": request.method,
                "values": request.values,
                "headers": request.headers,
                "body": request.data,
                "url_path": request.path,
                "url_params": self.in_path,
            }
        )

    def _written(self, answer: Answer | Exception) -> Response:
        from moto.core.serialize import get_serializer_class

        serializer = get_serializer_class(self.service, self.protocol)
        response = serializer(operation_model=self.operation).serialize(answer)
        body: Any = response["body"]
        raw = body.encode() if isinstance(body, str) else body
        headers = {**response["headers"], "Content-Length": str(len(raw))}
        return (
            f"{response['status_code']} -",
            [(name, str(value)) for name, value in headers.items()],
            raw,
        )

    def _asked_of(self, moto: App) -> Answer:
        """moto's answer as botocore reads it.

        Raises:
            _MotoRefusedError: it is an error.
        """
        from botocore.awsrequest import HeadersDict
        from botocore.parsers import create_parser

        said: list[tuple[str, list[tuple[str, str]]]] = []

        def start(status: str, headers: list[tuple[str, str]], *_: Any) -> None:
            said.append((status, headers))

        self.environ["wsgi.input"].seek(0)
        body = b"".join(moto(dict(self.environ), start))
        status, headers = said[0]
        code = int(status.split()[0])
        if code >= 300:
            raise _MotoRefusedError((status, headers, body))
        parsed: Any = create_parser(self.protocol).parse(
            {
                "status_code": code,
                "headers": HeadersDict(headers),
                "body": body,
            },
            self.operation.output_shape,
        )
        parsed.pop("ResponseMetadata", None)
        return parsed


def _request(environ: dict[str, Any]) -> Any:
    """The request from its beginning."""
    from moto.core.request import Request

    environ["wsgi.input"].seek(0)
    return Request(environ)


def _buffered(environ: dict[str, Any]) -> dict[str, Any]:
    """The request with a body that can be read more than once."""
    if isinstance(environ["wsgi.input"], io.BytesIO):
        environ["wsgi.input"].seek(0)
        return environ
    from werkzeug.wsgi import get_input_stream

    body = get_input_stream(environ).read()
    kept = {k: v for k, v in environ.items() if k != "HTTP_TRANSFER_ENCODING"}
    return kept | {
        "wsgi.input": io.BytesIO(body),
        "wsgi.input_terminated": True,
        "CONTENT_LENGTH": str(len(body)),
    }
