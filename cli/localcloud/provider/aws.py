"""Calls to the local cloud, checked first against AWS's service model and documented rules."""

from __future__ import annotations

import functools
import json
import os
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final, TypeVar

import botocore.config
import botocore.exceptions
import botocore.parsers

from cli.localcloud import sessions
from cli.localcloud.endpoint import keep_host
from cli.localcloud.provider import rules
from cli.localcloud.provider.validate import violations
from cli.localcloud.provider.values import has_unknown, known

T = TypeVar("T")

# moto serves requests in threads but is not made for them: "OrderedDict mutated during iteration"
# was measured with a hundred scheduled actions. Its interpreter runs one at a time anyway.
_ONE_AT_A_TIME: Final = threading.Lock()
# Connections one client keeps open: as many as the provider serves calls at once.
CONNECTIONS = 32


# Names a file to which every request is added, a JSON object a line; for tests.
REQUESTS: Final = "FIRSTBELL_REQUESTS"


def _log(file: Path, operation: str, request: dict[str, Any]) -> None:
    line = json.dumps({"operation": operation, "request": request}, default=str)
    with file.open("a") as log:
        log.write(line + "\n")


class AwsError(Exception):
    """What AWS answered, or would have answered: its error code and message."""

    def __init__(self, operation: str, code: str, message: str) -> None:
        super().__init__(f"{operation}: {code}: {message}")
        self.code = code

    @property
    def not_found(self) -> bool:
        """Whether the code says that the thing is gone."""
        words = ("NotFound", "NoSuch", "DoesNotExist", "NonexistentItem")
        return any(word in self.code for word in words)


@functools.cache
def _client(endpoint: str, service: str, region: str) -> Any:
    config = botocore.config.Config(
        max_pool_connections=CONNECTIONS,
        # Nothing throttles here; a dead server should be told of at once.
        retries={"total_max_attempts": 1},
        connect_timeout=5,
        read_timeout=60,
        proxies={},
        # Our own validation knows more, and tolerates unknowns in previews.
        parameter_validation=False,
        s3={"addressing_style": "path"},
    )
    return keep_host(sessions.client(service, region, endpoint, config))


class Cloud:
    """One Region of the local cloud."""

    def __init__(self, endpoint: str, region: str) -> None:
        self.region = region
        self.partition = "aws"
        self._endpoint = endpoint
        self._memory: dict[str, Any] = {}
        self._lock = threading.RLock()

    def client(self, service: str) -> Any:
        """The service's client, made at its first use: loading a model costs up to 0.2 s."""
        with self._lock:
            return _client(self._endpoint, service, self.region)

    def remember(self, what: str, load: Callable[[], T]) -> T:
        """What was loaded once, for as long as this process lives (one run of the engine)."""
        with self._lock:
            if what not in self._memory:
                self._memory[what] = load()
            return self._memory[what]

    def input_shape(self, service: str, operation: str) -> Any:
        """The botocore shape of an operation's request (`operation` in snake case)."""
        return self._model(service, operation).input_shape

    def _model(self, service: str, operation: str) -> Any:
        client = self.client(service)
        return client.meta.service_model.operation_model(
            client.meta.method_to_api_mapping[operation]
        )

    @functools.cached_property
    def account(self) -> str:
        return self.client("sts").get_caller_identity()["Account"]

    def call(self, service: str, operation: str, /, **request: Any) -> dict[str, Any]:
        """Make a call.

        Raises:
            AwsError: AWS would refuse the request, or the local cloud did.
        """
        self.check(service, operation, request)
        if log := os.environ.get(REQUESTS):
            _log(Path(log), f"{service}:{self._model(service, operation).name}", request)
        send = getattr(self.client(service), operation)
        try:
            with _ONE_AT_A_TIME:
                return send(**request)
        except botocore.exceptions.ClientError as error:
            details = error.response.get("Error", {})
            raise AwsError(
                operation, details.get("Code", "Unknown"), details.get("Message", "")
            ) from error
        except botocore.exceptions.BotoCoreError as error:
            raise AwsError(operation, type(error).__name__, str(error)) from error
        except botocore.parsers.ResponseParserError as error:
            reason = "the local cloud failed at this request and answered with no AWS error"
            raise AwsError(operation, "InternalFailure", reason) from error

    def check(
        self, service: str, operation: str, request: dict[str, Any], *, preview: bool = False
    ) -> None:
        """Refuse what AWS would refuse. In a preview, what is unknown is not looked at.

        Raises:
            AwsError: with AWS's own code.
        """
        partial = preview and has_unknown(request)
        plain = known(request) if partial else request
        model = self._model(service, operation)
        if model.input_shape is not None and (
            found := violations(plain, model.input_shape, partial=partial)
        ):
            count = len(found)
            raise AwsError(
                operation,
                rules.validation_code(service),
                f"{count} validation error{'s' if count > 1 else ''} detected: " + "; ".join(found),
            )
        try:
            rules.check(self, service, operation, plain, preview=preview)
        except rules.RefusedError as refusal:
            raise AwsError(operation, refusal.code, refusal.message) from refusal
