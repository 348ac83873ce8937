"""What a control is, what it sees of a stack, and what it can answer.

Checks are pure functions over resources as the program declares them. A value that is not known
before something exists must never pass for a good one: reading it raises `UnknownValue`, which
makes the control undetermined for that resource.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum
from typing import Any, Final

# How the engine writes a value that it does not know yet, in plans, events and policy packs.
# pulumi/sdk/v3/go/common/resource/plugin/rpc.go, Unknown*Value.
UNKNOWN: Final = "04da6b54-80e4-46f7-96ec-b56ff0331ba9"
_UNKNOWNS: Final = frozenset(
    {
        UNKNOWN,
        "1c4a061d-8072-4f0a-a4cb-0ff528b18fe7",  # boolean
        "3eeb2bf0-c639-47a8-9e75-3b44932eb421",  # number
        "6a19a0b0-7e62-4c92-b797-7f8e31da9cc2",  # array
        "030794c1-ac77-496b-92df-f27374a8bd58",  # asset
        "e48ece36-62e2-4504-bad9-02848725956a",  # archive
        "dd056dcd-154b-4c76-9bd3-c8f88648b5ff",  # object
    }
)
# Where a resource is named by another one: its id, ARN or name.
_IDENTITIES: Final = ("id", "arn", "name", "clusterIdentifier", "bucket")


class UnknownValue(Exception):  # noqa: N818 (no error: a value that is not there yet)
    """A check has read a value that is known only once something exists."""

    def __init__(self, path: str) -> None:
        super().__init__(path)
        self.path = path


def is_unknown(value: object) -> bool:
    """Whether the engine does not know this value yet."""
    return isinstance(value, str) and value in _UNKNOWNS


@dataclass(frozen=True)
class Fault:
    """What is wrong with a resource: the property, what it is, and what it should be."""

    property: str
    value: object
    fix: str


@dataclass(frozen=True)
class Resource:
    """A resource as it is declared (before `up`) or recorded in the state (after it).

    `dependencies` says for each property from which resources, by URN, its value was computed.
    """

    urn: str
    type: str
    name: str
    properties: Mapping[str, Any]
    dependencies: Mapping[str, frozenset[str]] = field(default_factory=dict[str, frozenset[str]])

    def get(self, path: str, default: Any = None) -> Any:
        """The value at a path such as `healthCheck.protocol`; `default` where there is none.

        Raises:
            UnknownValue: the value, or one on the way to it, is not known yet.
        """
        return value_at(self.properties, path, default)

    def items(self, path: str) -> Sequence[Any]:
        """The list at a path; nothing counts as an empty one.

        Raises:
            UnknownValue: the list itself is not known yet.
        """
        value = self.get(path)
        if value is None:
            return ()
        return value if isinstance(value, list | tuple) else (value,)

    def peek(self, path: str) -> Any:
        """The value at a path, UNKNOWN where it is not known yet; never raises."""
        try:
            return self.get(path)
        except UnknownValue:
            return UNKNOWN


def value_at(value: Any, path: str, default: Any = None) -> Any:
    """The value at a dotted path in nested mappings and lists (`rules.0.name`).

    Raises:
        UnknownValue: the value, or one on the way to it, is not known yet.
    """
    walked: list[str] = []
    for part in path.split("."):
        if is_unknown(value):
            break
        if isinstance(value, Mapping):
            value = value.get(part)
        elif isinstance(value, list | tuple) and part.isdigit():
            value = value[int(part)] if int(part) < len(value) else None
        else:
            value = None
        walked.append(part)
        if value is None:
            return default
    if is_unknown(value):
        raise UnknownValue(".".join(walked))
    return value


class Stack:
    """All resources of a stack, for controls that span several."""

    def __init__(self, resources: Iterable[Resource]) -> None:
        self._resources = tuple(resources)
        self._by_urn = {resource.urn: resource for resource in self._resources}

    def __iter__(self) -> Iterator[Resource]:
        return iter(self._resources)

    def of(self, *types: str) -> list[Resource]:
        """The resources of these types."""
        return [resource for resource in self._resources if resource.type in types]

    def naming(
        self,
        target: Resource,
        property_: str,
        *types: str,
        where: Callable[[Resource], bool] = lambda _: True,
    ) -> list[Resource]:
        """The resources of these types, and like `where`, whose property names `target`.

        Raises:
            UnknownValue: none certainly does, and one may: its value is not known yet, and is
                computed from the target.
        """
        found: list[Resource] = []
        unknown: str | None = None
        for candidate in self.of(*types):
            if not where(candidate):
                continue
            answer = names(candidate, property_, target)
            if answer:
                found.append(candidate)
            elif answer is None:
                unknown = f"{candidate.name}/{property_}"
        if not found and unknown is not None:
            raise UnknownValue(unknown)
        return found

    def perhaps_named_by(self, resource: Resource, property_: str, *types: str) -> list[Resource]:
        """The resources of these types that a property (one value, or a list) can name.

        What is not known yet is found by what it was computed from. That proves that nothing else
        can be named, never that all of these are.
        """
        values = _flat(resource.properties.get(property_.split(".", maxsplit=1)[0]))
        known = {str(value) for value in values if not is_unknown(value)}
        found = [
            candidate
            for candidate in self.of(*types)
            if known & {str(candidate.peek(key)) for key in _IDENTITIES} - {UNKNOWN, "None"}
        ]
        if any(is_unknown(value) for value in values):
            urns = resource.dependencies.get(property_.split(".", maxsplit=1)[0], frozenset())
            found += [
                candidate
                for candidate in self.of(*types)
                if candidate.urn in urns and candidate not in found
            ]
        return found


def names(resource: Resource, property_: str, target: Resource) -> bool | None:
    """Whether a property's value (or one of a list) names the target; None: not known yet."""
    try:
        values = _flat(resource.get(property_))
    except UnknownValue:
        values = [UNKNOWN]
    identities = {target.peek(key) for key in _IDENTITIES if not isinstance(target.peek(key), list)}
    if any(value in identities for value in values if value is not None and not is_unknown(value)):
        return True
    top = property_.split(".", maxsplit=1)[0]
    may_be = target.urn in resource.dependencies.get(top, frozenset())
    return None if may_be and any(is_unknown(value) for value in values) else False


def _flat(value: Any) -> list[Any]:
    """Every plain value in nested lists and mappings."""
    if isinstance(value, Mapping):
        return [found for inner in value.values() for found in _flat(inner)]
    if isinstance(value, list | tuple):
        return [found for inner in value for found in _flat(inner)]
    return [] if value is None else [value]


Faults = Iterator[Fault]
ResourceCheck = Callable[[Resource], Iterable[Fault]]
StackCheck = Callable[[Resource, Stack], Iterable[Fault]]


@dataclass(frozen=True)
class ResourceControl:
    """A control that looks at one resource of the types it concerns at a time."""

    id: str
    title: str
    types: tuple[str, ...]
    check: ResourceCheck


@dataclass(frozen=True)
class StackControl:
    """A control that judges a resource of its types by others of the stack."""

    id: str
    title: str
    types: tuple[str, ...]
    check: StackCheck


Control = ResourceControl | StackControl


# The pages of the AWS Security Hub user guide, one a service, with an anchor a control.
_GUIDE: Final = "https://docs.aws.amazon.com/securityhub/latest/userguide"


def source(control_id: str) -> str:
    """The page of AWS's guide that defines a control, such as `EC2.6`."""
    service, number = control_id.lower().split(".")
    return f"{_GUIDE}/{service}-controls.html#{service}-{number}"


class Verdict(Enum):
    """What a control says of one resource."""

    PASSED = "passed"
    FAILED = "failed"
    UNDETERMINED = "undetermined"


@dataclass(frozen=True)
class Finding:
    """A control's verdict on one resource; a fault where it failed, else what is not known yet."""

    control: Control
    resource: Resource
    verdict: Verdict
    fault: Fault | None = None
    unknown: str | None = None


def evaluate(controls: Iterable[Control], stack: Stack) -> list[Finding]:
    """Judge every resource that a control concerns. One that fails in two ways has two findings."""
    return [
        finding
        for control in controls
        for resource in stack.of(*control.types)
        for finding in judge(control, resource, stack)
    ]


def judge(control: Control, resource: Resource, stack: Stack) -> list[Finding]:
    """A control's findings on one resource: faults, else what was not known, else that it passed.

    What is known to be wrong stays wrong, whatever else is not known yet.
    """
    faults: list[Fault] = []
    unknown: str | None = None
    try:
        found = (
            control.check(resource)
            if isinstance(control, ResourceControl)
            else control.check(resource, stack)
        )
        for fault in found:
            faults.append(fault)
    except UnknownValue as value:
        unknown = value.path
    if faults:
        return [Finding(control, resource, Verdict.FAILED, fault) for fault in faults]
    if unknown is not None:
        return [Finding(control, resource, Verdict.UNDETERMINED, unknown=unknown)]
    return [Finding(control, resource, Verdict.PASSED)]


def must_be(path: str, wanted: object, *, absent: object = None) -> ResourceCheck:
    """A check that a property has one value; `absent` is what AWS takes when it is left out."""

    def check(resource: Resource) -> Faults:
        value = resource.get(path, absent)
        if not same(value, wanted):
            yield Fault(path, value, f"set {path} to {shown(wanted)}")

    return check


def same(value: object, wanted: object) -> bool:
    """Equality across the ways pulumi-aws writes a boolean: true, "true"."""
    if isinstance(wanted, bool):
        return value is wanted or (isinstance(value, str) and value.lower() == shown(wanted))
    return value == wanted


def shown(value: object) -> str:
    """A value as a stack's file or a plan writes it."""
    return str(value).lower() if isinstance(value, bool) else str(value)
