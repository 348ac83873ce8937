"""The machine that runs the table: one `Row` a resource type, generic create, read, update, delete.

A row says which operations make, show, change and remove a thing and where its names differ from
the API's. Everything else follows from botocore's service model and the SDK's schema. What AWS
does in an unusual way stands in a row's small functions, never here.
"""

from __future__ import annotations

import functools
import hashlib
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

import jmespath

from cli.localcloud.provider.aws import AwsError, Cloud
from cli.localcloud.provider.mapping import (
    Names,
    from_api,
    member_of,
    tags_to_api,
    tags_to_map,
    to_api,
)
from cli.localcloud.provider.schema import Schema, schema_of
from cli.localcloud.provider.values import (
    DEFAULTS,
    UNKNOWN,
    Comparison,
    Properties,
    Unknown,
    coerce,
    has_unknown,
    mistyped,
)
from infra.errors import nearest

NONE: Final[Mapping[str, Any]] = {}
# A list of names in one word each keeps rows short: "cidrBlock availabilityZone".
Words = str


@dataclass(frozen=True)
class Step:
    """One writing call."""

    operation: str = ""
    # Inputs it carries; empty: every input that its request has a member for.
    props: Words = ""
    # Members that are the same at every call.
    fixed: Mapping[str, Any] = field(default_factory=dict[str, Any])
    # Sends all it carries, not only what changed (AWS drops what is left out).
    whole: bool = False
    # Makes the requests itself: (cloud, properties, changed names) -> requests without the key.
    build: Callable[[Cloud, Properties, frozenset[str]], list[dict[str, Any]]] | None = None
    # Does its work itself, with several calls; not looked at in previews.
    run: Callable[[Cloud, Properties, frozenset[str]], None] | None = None
    # Where the key differs from the row's.
    key: Mapping[str, str] | None = None


@dataclass(frozen=True)
class Read:
    """The call that shows a thing, and where in its answer the thing stands (JMESPath)."""

    operation: str
    item: str | Callable[[dict[str, Any], Properties], Any]
    # Members of the request and the property each takes; a list member gets a list of one.
    key: Mapping[str, str] | None = None
    fixed: Mapping[str, Any] = field(default_factory=dict[str, Any])


@dataclass(frozen=True)
class Tagging:
    """How a service tags."""

    add: str
    remove: str
    key: str  # the member that names the thing
    by: str = "arn"  # the property with which it is named
    tags: str = "Tags"
    keys: str = "TagKeys"  # "" where whole tags are sent to remove them
    read: Read | None = None  # None: the thing's own description shows them
    create: str = "Tags"  # the creating call's member; "" where it has none
    # Where one call sets all tags: its members, from pairs of Key and Value.
    whole: Callable[[list[dict[str, str]]], dict[str, Any]] | None = None


@dataclass(frozen=True)
class Autoname:
    """How pulumi-aws names what was given no name: the logical name and seven characters."""

    prop: str = "name"
    max_length: int = 255
    lower: bool = False


Live = dict[str, Any]
Reader = Callable[[Cloud, Properties], Live | None]


@dataclass(frozen=True)
class Row:
    """One resource type."""

    type: str
    service: str
    create: Step | str
    read: Read | Reader
    delete: Step | str | tuple[Step | str, ...]
    # Members that name the thing in calls, and the property each takes ("id": the resource's id).
    key: Mapping[str, str]
    # Where the id is in the creating call's answer (JMESPath), or "={property}" of the state.
    id: str | Callable[[Properties], str]
    update: tuple[Step | str, ...] = ()
    names: Names = field(default_factory=dict[str, str])
    # Where a property stands in the live thing, when not under its own name (JMESPath or function).
    reads: Mapping[str, str | Callable[[Live], Any]] = field(default_factory=dict[str, Any])
    replace: Words = ""
    delete_first: bool = False  # its name or place is taken until the old one is gone
    defaults: Mapping[str, Any] = field(default_factory=dict[str, Any])
    computed: Words = ""  # optional, and chosen by AWS when left out: leaving it out is no change
    ignored: Words = ""  # inputs that AWS does not keep (flags of deletion and of waiting)
    absent: Words = ""  # inputs that are gone when not shown; of others it says nothing
    volatile: Words = ""  # outputs that an update changes
    ordered: Words = ""  # lists whose order means something
    documents: Words = ""  # JSON texts
    sensitive: Words = ""
    cleared: Mapping[str, Any] = field(
        default_factory=dict[str, Any]
    )  # what is sent for an input that is no longer given
    autoname: Autoname | None = None
    tags: Tagging | None = None
    arn: str = ""  # "service:type/{property}" where the API does not tell it
    import_id: str = ""  # how the id of an import is split: "group/action"
    # What pulumi-aws does right after creation.
    created: Callable[[Cloud, Properties], None] | None = None
    # More outputs, from a second look.
    more: Callable[[Cloud, Properties], Properties] | None = None
    check: Callable[[Properties], list[tuple[str, str]]] | None = None


class ResourceError(Exception):
    """A resource could not be created, changed or read; the text names code and reason."""


class PartlyCreatedError(ResourceError):
    """The thing exists, but a later step failed: the engine must remember it."""

    def __init__(self, reason: str, id: str, properties: Properties) -> None:
        super().__init__(reason)
        self.id = id
        self.properties = properties


@dataclass(frozen=True)
class Difference:
    """What a diff found: path of the property -> kind ("add", "delete", "update")."""

    changes: Mapping[str, str] = field(default_factory=dict[str, str])
    replaces: frozenset[str] = frozenset()
    delete_first: bool = False


class Machine:
    """Runs one row against one Region."""

    def __init__(self, row: Row, cloud: Cloud, default_tags: Mapping[str, str] = NONE) -> None:
        self.row = row
        self.cloud = cloud
        self.schema: Schema = schema_of(row.type)
        self._default_tags = default_tags
        self._replace = frozenset(row.replace.split())
        self._computed = frozenset(row.computed.split())
        self._ignored = frozenset(row.ignored.split())
        self._comparison = Comparison(
            frozenset(row.ordered.split()), frozenset(row.documents.split())
        )

    # ---- Check -------------------------------------------------------------------------------

    def check(
        self, name: str, seed: bytes, old: Properties, given: Properties
    ) -> tuple[Properties, list[tuple[str, str]]]:
        """The inputs with types, defaults and a name; and what is wrong: (property, reason)."""
        failures: list[tuple[str, str]] = []
        inputs: Properties = {}
        for prop, value in given.items():
            if prop == DEFAULTS:
                continue
            if prop not in self.schema.inputs:
                close = nearest(prop, self.schema.inputs)
                failures.append(
                    (prop, f"unknown property{f'; did you mean {close}?' if close else ''}")
                )
                continue
            tree = self.schema.inputs[prop]
            inputs[prop] = coerce(value, tree)
            failures += mistyped(inputs[prop], tree, prop)
        failures += [
            (prop, "is required") for prop in sorted(self.schema.required) if prop not in inputs
        ]
        defaulted = [prop for prop in self.row.defaults if prop not in inputs]
        inputs |= {prop: self.row.defaults[prop] for prop in defaulted}
        naming = self.row.autoname
        prefix = f"{naming.prop}Prefix" if naming else ""
        if naming and naming.prop not in inputs:
            defaulted.append(naming.prop)
            if naming.prop in old.get(DEFAULTS, ()) and old.get(prefix) == inputs.get(prefix):
                inputs[naming.prop] = old[naming.prop]
            elif isinstance(inputs.get(prefix), Unknown):
                inputs[naming.prop] = UNKNOWN
            else:
                start = inputs.get(prefix, f"{name}-")
                suffix = hashlib.sha256(seed + start.encode()).hexdigest()[:7]
                inputs[naming.prop] = (start.lower() if naming.lower else start) + suffix
                if len(start) + len(suffix) > naming.max_length:
                    failures.append(
                        (
                            naming.prop,
                            f"name {start!r} plus 7 random characters is longer than the maximum "
                            f"length {naming.max_length}; shorten the resource's name or give "
                            f"{naming.prop}",
                        )
                    )
        inputs[DEFAULTS] = sorted(defaulted)
        failures += [
            (prop, "the local cloud's provider does not carry this property: extend its row")
            for prop in sorted(given.keys() & self.schema.inputs.keys() - self._supported)
        ]
        if self.row.check is not None:
            failures += self.row.check(inputs)
        return inputs, failures

    @functools.cached_property
    def _supported(self) -> frozenset[str]:
        """The inputs that reach a request. Others would be lost without a word."""
        steps = map(_step, (self.row.create, *self.row.update))
        carried = frozenset[str]().union(*(self._carried(step) for step in steps))
        prefix = {f"{self.row.autoname.prop}Prefix"} if self.row.autoname else set[str]()
        tags = {"tags"} if self.row.tags else set[str]()
        return carried | self._ignored | prefix | tags | {"region"}

    # ---- Diff --------------------------------------------------------------------------------

    def diff(self, outputs: Properties, old: Properties, new: Properties) -> Difference:
        """What an update would change. Only inputs are compared: computed outputs never differ."""
        changes: dict[str, str] = {}
        replaces: set[str] = set()
        for prop in sorted((old.keys() | new.keys()) - {DEFAULTS, "region"}):
            if prop not in new and prop in self._computed:
                continue
            for path in self._comparison.differences(old.get(prop), new.get(prop), prop):
                kind = "add" if prop not in old else "delete" if prop not in new else "update"
                changes[path] = kind
                if prop in self._replace or path in self._replace:
                    replaces.add(path)
        named = any(path.split(".")[0] == "tags" for path in changes)
        if self.row.tags and not named and "tagsAll" in outputs:
            wanted = dict(self._default_tags) | (new.get("tags") or {})
            if not has_unknown(wanted) and wanted != outputs["tagsAll"]:
                changes["tagsAll"] = "update"
        return Difference(changes, frozenset(replaces), self.row.delete_first and bool(replaces))

    # ---- Create, Update, Delete --------------------------------------------------------------

    def create(self, inputs: Properties, *, preview: bool = False) -> tuple[str, Properties]:
        """Make the thing; its id and outputs.

        Raises:
            ResourceError: AWS would refuse it, or the local cloud did.
            PartlyCreatedError: it exists, but not as it should.
        """
        row, step = self.row, _step(self.row.create)
        try:
            if preview:
                self._send(step, inputs, frozenset(inputs), preview=True, creating=True)
                self._later_steps(inputs, step, {"id": UNKNOWN, "arn": UNKNOWN}, preview=True)
                unknown: Properties = dict.fromkeys(self.schema.outputs.keys() - inputs, UNKNOWN)
                return "", unknown | self._plain(inputs) | self._tags_all(inputs)
            answer = self._send(step, inputs, frozenset(inputs), preview=False, creating=True)
        except AwsError as error:
            raise ResourceError(str(error)) from error
        state = dict(inputs)
        id = self._id(answer, state)
        state["id"] = id
        try:
            if row.created is not None:
                row.created(self.cloud, state)
            self._later_steps(inputs, step, state, preview=False)
            live = self._read(state)
            if row.tags and not row.tags.create and (tags := self._all_tags(inputs)):
                self._tag(state | (live or {}), tags, [])
                live = self._read(state)
        except AwsError as error:
            raise PartlyCreatedError(str(error), id, self._plain(state)) from error
        if live is None:
            raise PartlyCreatedError(
                f"{step.operation}: created {id}, but it is not there", id, state
            )
        return id, self._state(live, inputs, id)

    def update(
        self, id: str, outputs: Properties, old: Properties, new: Properties, *, preview: bool
    ) -> Properties:
        """Change the thing in place; its outputs afterwards.

        Raises:
            ResourceError: AWS would refuse it, or the local cloud did.
        """
        changed = self.changed(outputs, old, new)
        # What AWS chose is sent again with calls that take everything (pulumi-aws does so, too:
        # a start time once computed sticks); other inputs are those given now.
        kept = {p: v for p, v in outputs.items() if p not in self.schema.inputs}
        kept |= {p: outputs[p] for p in self._computed & outputs.keys()}
        state = kept | new | {"id": id}
        for prop in changed - new.keys():
            if (cleared := self._cleared(prop)) is not None:
                state[prop] = cleared
        try:
            for step in map(_step, self.row.update):
                if not changed & self._carried(step):
                    continue
                sent = self._carried(step) if step.whole else changed
                self._send(step, state, frozenset(sent), preview=preview)
            if preview:
                volatile: Properties = dict.fromkeys(self.row.volatile.split(), UNKNOWN)
                return outputs | self._plain(new) | volatile | self._tags_all(new)
            if self.row.tags and changed & {"tags", "tagsAll"}:
                wanted = self._all_tags(new)
                gone = outputs.get("tagsAll", {}).keys() - wanted.keys()
                self._tag(state, wanted, sorted(gone))
            live = self._read(state)
        except AwsError as error:
            raise ResourceError(str(error)) from error
        if live is None:
            raise ResourceError(f"{id} is gone: run a refresh")
        return self._state(live, new, id)

    def changed(self, outputs: Properties, old: Properties, new: Properties) -> frozenset[str]:
        """The top-level names of what differs."""
        paths = self.diff(outputs, old, new).changes
        return frozenset(re.split(r"[.\[]", path)[0] for path in paths)

    def delete(self, id: str, outputs: Properties) -> None:
        """Remove the thing; that it is gone already is fine.

        Raises:
            ResourceError: AWS would refuse it, or the local cloud did.
        """
        state = outputs | {"id": id}
        try:
            for step in self._delete_steps:
                # Only the key: what a thing is like is of no matter to its end.
                self._send(step, state, frozenset(), preview=False)
        except AwsError as error:
            if not error.not_found and self._exists(state):
                raise ResourceError(str(error)) from error

    @property
    def _delete_steps(self) -> tuple[Step, ...]:
        steps = self.row.delete if isinstance(self.row.delete, tuple) else (self.row.delete,)
        return tuple(Step(s) if isinstance(s, str) else s for s in steps)

    def _exists(self, state: Properties) -> bool:
        try:
            return self._read(state) is not None
        except AwsError:
            return True

    # ---- Read --------------------------------------------------------------------------------

    def read(
        self, id: str, outputs: Properties, inputs: Properties
    ) -> tuple[Properties, Properties] | None:
        """The live outputs and inputs; None when the thing is gone. No old inputs: an import.

        Raises:
            ResourceError: the local cloud refused.
        """
        state = inputs | outputs | {"id": id}
        importing = not outputs
        if importing and self.row.import_id:
            state |= _split(self.row.import_id, id)
        try:
            live = self._read(state)
        except AwsError as error:
            raise ResourceError(str(error)) from error
        if live is None:
            return None
        found = self._state(live, inputs, id)
        live_inputs = self._imported(found) if importing else self._live_inputs(live, inputs)
        gone = inputs.keys() - live_inputs.keys()
        found = {prop: value for prop, value in found.items() if prop not in gone}
        return found, live_inputs

    def _live_inputs(self, live: Properties, old: Properties) -> Properties:
        """The old inputs with what has drifted replaced by what is live."""
        result: Properties = {}
        for prop, value in old.items():
            if prop == DEFAULTS or prop in self._ignored:
                result[prop] = value
            elif prop not in live:
                if prop not in self.row.absent.split():
                    result[prop] = value
            elif prop == "tags" and self.row.tags:
                inherited = {k: v for k, v in self._default_tags.items() if k not in value}
                tags = {k: v for k, v in live["tagsAll"].items() if inherited.get(k) != v}
                result[prop] = tags
            elif (settled := self._comparison.settle(value, live[prop], prop)) is not None:
                result[prop] = settled
        if self.row.tags and "tags" not in old:
            tags = {k: v for k, v in live["tagsAll"].items() if self._default_tags.get(k) != v}
            result |= {"tags": tags} if tags else {}
        return result

    def _imported(self, found: Properties) -> Properties:
        inputs = {prop: found[prop] for prop in self.schema.inputs if prop in found}
        inputs = {prop: v for prop, v in inputs.items() if v not in ("", [], {})}
        return {**self.row.defaults, **inputs, DEFAULTS: []}

    def _state(self, live: Properties, inputs: Properties, id: str) -> Properties:
        """The outputs: what is live, and what was given where the API does not show it."""
        given = self._plain(inputs)
        settled = {
            prop: self._comparison.settle(given[prop], value, prop)
            if prop in given and prop in self.schema.inputs
            else value
            for prop, value in live.items()
        }
        # Of blocks, keep what is live and was not given too: drift is judged on inputs.
        outputs = given | {prop: value for prop, value in settled.items() if value is not None}
        if self.row.tags:
            outputs |= {"tagsAll": live["tagsAll"]}
        return outputs | {"id": id, "region": self.cloud.region}

    def _read(self, state: Properties) -> Properties | None:
        """The live thing under its properties' names, or None when it is not there."""
        row = self.row
        try:
            if isinstance(row.read, Read):
                item = self._look(row.read, state)
            else:
                item = row.read(self.cloud, state)
        except AwsError as error:
            if error.not_found:
                return None
            raise
        if not item:
            return None
        found = self._from_live(item)
        if row.tags:
            tags = item.get("Tags") or item.get("TagList") or item.get("TagSet") or []
            if row.tags.read is not None:
                tags = self._look(row.tags.read, state | found) or []
            found["tagsAll"] = tags_to_map(tags) if isinstance(tags, list) else dict(tags)
            found["tags"] = found["tagsAll"]
        if row.arn and "arn" not in found:
            found["arn"] = self._arn(state | found)
        if row.more is not None:
            found |= row.more(self.cloud, state | found)
        return {prop: value for prop, value in found.items() if value is not None}

    def _from_live(self, item: Live) -> Properties:
        found: Properties = {}
        for prop, tree in self.schema.outputs.items():
            if prop in self.row.reads:
                where = self.row.reads[prop]
                value = jmespath.search(where, item) if isinstance(where, str) else where(item)
            elif prop in ("tags", "tagsAll"):
                continue
            else:
                member = member_of(item, prop, prop, self.row.names)
                value = item[member] if member is not None else None
            if (mapped := from_api(value, tree, self.row.names, prop)) is not None:
                found[prop] = mapped
        return found

    def _look(self, read: Read, state: Properties) -> Any:
        shape = self.cloud.input_shape(self.row.service, read.operation)
        key = self.row.key if read.key is None else read.key
        request = dict(read.fixed) | self._key(key, shape, state)
        answer = self.cloud.call(self.row.service, read.operation, **request)
        if callable(read.item):
            return read.item(answer, state)
        return jmespath.search(read.item, answer)

    # ---- Requests ----------------------------------------------------------------------------

    def _carried(self, step: Step) -> frozenset[str]:
        """The inputs a step carries."""
        if step.props:
            return frozenset(step.props.split())
        shape = self.cloud.input_shape(self.row.service, step.operation)
        return frozenset(
            prop
            for prop in self.schema.inputs
            if prop not in self._ignored | {"tags", "region"}
            and member_of(shape.members, prop, prop, self.row.names) is not None
        )

    def _send(
        self,
        step: Step,
        state: Properties,
        sent: frozenset[str],
        *,
        preview: bool,
        creating: bool = False,
    ) -> dict[str, Any]:
        """Do a step, or in a preview only check what it would send; the last answer."""
        answer: dict[str, Any] = {}
        if step.run is not None:
            if not preview:
                step.run(self.cloud, state, sent)
            return answer
        for request in self._requests(step, state, sent, creating=creating):
            if preview:
                self.cloud.check(self.row.service, step.operation, request, preview=True)
            else:
                answer = self.cloud.call(self.row.service, step.operation, **request)
        return answer

    def _requests(
        self, step: Step, state: Properties, sent: frozenset[str], *, creating: bool = False
    ) -> list[dict[str, Any]]:
        """The requests of a step; the key is added except where the thing does not exist yet."""
        shape = self.cloud.input_shape(self.row.service, step.operation)
        base = dict(step.fixed)
        if not creating:
            base |= self._key(self.row.key if step.key is None else step.key, shape, state)
        elif self.row.tags and self.row.tags.create:
            base |= self._tags_at_creation(shape, state)
        if step.build is not None:
            return [base | request for request in step.build(self.cloud, state, sent)]
        request: dict[str, Any] = {}
        for prop in sorted(self._carried(step) & sent):
            if state.get(prop) is None:
                continue
            member = member_of(shape.members, prop, prop, self.row.names)
            if member is not None:
                mapped = to_api(state[prop], shape.members[member], self.row.names, prop)
                request[member] = mapped
        return [request | base]

    def _key(self, key: Mapping[str, str], shape: Any, state: Properties) -> dict[str, Any]:
        result: dict[str, Any] = {}
        for member, prop in key.items():
            value = state.get(prop, UNKNOWN)
            is_list = shape.members[member].type_name == "list"
            result[member] = [value] if is_list and not isinstance(value, list) else value
        return result

    def _later_steps(
        self, inputs: Properties, first: Step, state: Properties, *, preview: bool
    ) -> None:
        """After creation: what the creating call has no member for."""
        done = self._carried(first)
        # Defaults are AWS's own: nothing needs to be said for them.
        rest = inputs.keys() - done - {DEFAULTS, *inputs.get(DEFAULTS, ())}
        for step in map(_step, self.row.update):
            sent = self._carried(step) & rest
            if not sent:
                continue
            carried = self._carried(step) & inputs.keys() if step.whole else sent
            self._send(step, inputs | state, frozenset(carried), preview=preview)

    def _cleared(self, prop: str) -> Any:
        if prop in self.row.cleared:
            return self.row.cleared[prop]
        match self.schema.inputs.get(prop):
            case "str":
                return ""
            case [_]:
                return []
            case _:
                return None

    # ---- Tags, ids ---------------------------------------------------------------------------

    def _all_tags(self, inputs: Properties) -> dict[str, Any]:
        return dict(self._default_tags) | (inputs.get("tags") or {})

    def _tags_all(self, inputs: Properties) -> Properties:
        return {"tagsAll": self._all_tags(inputs)} if self.row.tags else {}

    def _tags_at_creation(self, shape: Any, inputs: Properties) -> dict[str, Any]:
        tags = self._all_tags(inputs)
        if not tags or self.row.tags is None:
            return {}
        member = self.row.tags.create
        kind, _, resource = member.partition(":")
        if kind == "TagSpecifications":
            pairs = [{"Key": k, "Value": v} for k, v in tags.items()]
            return {kind: [{"ResourceType": resource, "Tags": pairs}]}
        return {member: to_api(tags, shape.members[member], NONE)}

    def _tag(self, state: Properties, wanted: Mapping[str, str], gone: list[str]) -> None:
        tagging = self.row.tags
        if tagging is None:
            return
        if tagging.whole is not None:
            key = {tagging.key: state[tagging.by]}
            pairs = [{"Key": k, "Value": v} for k, v in wanted.items()]
            if pairs:
                self.cloud.call(self.row.service, tagging.add, **key, **tagging.whole(pairs))
            else:
                self.cloud.call(self.row.service, tagging.remove, **key)
            return
        if gone:
            shape = self.cloud.input_shape(self.row.service, tagging.remove)
            key = self._key({tagging.key: tagging.by}, shape, state)
            removed: dict[str, Any] = (
                {tagging.keys: to_api(gone, shape.members[tagging.keys], NONE)}
                if tagging.keys
                else {tagging.tags: [{"Key": name} for name in gone]}
            )
            self.cloud.call(self.row.service, tagging.remove, **key, **removed)
        if wanted:
            shape = self.cloud.input_shape(self.row.service, tagging.add)
            key = self._key({tagging.key: tagging.by}, shape, state)
            tags = tags_to_api(wanted, shape.members[tagging.tags])
            self.cloud.call(self.row.service, tagging.add, **key, **{tagging.tags: tags})

    def _id(self, answer: dict[str, Any], state: Properties) -> str:
        if callable(self.row.id):
            return self.row.id(state)
        if self.row.id.startswith("="):
            account = {"account": self.cloud.account} if "{account}" in self.row.id else {}
            return self.row.id[1:].format_map(account | state)
        found = jmespath.search(self.row.id, answer)
        return str(found)

    def _arn(self, state: Properties) -> str:
        service, _, rest = self.row.arn.partition(":")
        region = "" if service == "iam" else self.cloud.region
        account = self.cloud.account
        return f"arn:{self.cloud.partition}:{service}:{region}:{account}:{rest.format_map(state)}"

    def _plain(self, inputs: Properties) -> Properties:
        return {prop: value for prop, value in inputs.items() if prop != DEFAULTS}


def _step(step: Step | str) -> Step:
    return step if isinstance(step, Step) else Step(step)


def _split(pattern: str, id: str) -> Properties:
    """The parts of an import's id: pattern "group/action" and id "web/a1"."""
    separator = re.sub(r"\w", "", pattern)[0]
    names = pattern.split(separator)
    return dict(zip(names, id.split(separator, len(names) - 1), strict=False))
