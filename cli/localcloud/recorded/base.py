"""What is recorded: how a kind of thing that moto does not know is declared, kept and answered.

Nothing here knows of HTTP; `serving` does. What a thing is like comes from the requests themselves:
a thing is what its creation said, with the members that AWS adds, and an answer is that thing in
the form of the operation's output in botocore's model.
"""

from __future__ import annotations

import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Final

import jmespath

Thing = dict[str, Any]
Answer = dict[str, Any]
# A list of names in one word each: "GetCachePolicy GetCachePolicyConfig".
Words = str

# Stands for the moment of the creation among the members that AWS adds.
NOW: Final = object()
# Stands for the moment of the last change.
CHANGED: Final = object()
# Stands for a text that every change renews: an entity tag, a lock token.
VERSION: Final = object()

_TAGS: Final = "tags of the local cloud"


class RecordedError(Exception):
    """A refusal with AWS's own error code."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(f"{code}: {message}")
        self.code = code
        self.message = message


class Store:
    """All that is recorded; it lives and dies with the server process."""

    def __init__(self) -> None:
        self._kinds: dict[tuple[str, str, str], dict[str, Thing]] = {}

    def things(self, service: str, kind: str, region: str) -> dict[str, Thing]:
        """The things of a kind by id, to read and to change."""
        return self._kinds.setdefault((service, kind, region), {})

    def tagged(self, service: str, arn: str) -> Thing | None:
        """The recorded thing with this ARN, whatever its kind and Region."""
        for (of, _, __), things in self._kinds.items():
            for thing in things.values():
                if of == service and arn in thing.values():
                    return thing
        return None


@dataclass(frozen=True)
class Asked:
    """A request, read and checked against botocore's model."""

    service: str
    operation: str
    region: str
    account: str
    request: Mapping[str, Any]
    output: Any  # the botocore shape of the answer, or None
    inputs: Any  # the botocore shape of the request, or None
    store: Store
    moto: Callable[[], Answer]
    """What moto answers to this very request."""


Handler = Callable[[Asked], Answer]


@dataclass(frozen=True)
class Amended:
    """An operation that moto has, but does not answer fully; `handler` asks it and adds."""

    service: str
    operation: str
    handler: Handler


@dataclass(frozen=True)
class Recorded:
    """One kind of thing; operations as botocore names them, several separated by spaces.

    `create` on something that is there already replaces it where it has no other name for that
    (`put`); else AWS refuses, by the members of `unique` (JMESPath in the request).
    """

    service: str
    kind: str
    # Members that name one thing. Where the creation does not say the last, the cloud makes it up.
    key: Words
    create: Words
    describe: Words = ""
    update: Words = ""
    delete: Words = ""
    list: Words = ""
    put: bool = False
    unique: str = ""
    taken: str = "ResourceAlreadyExistsException"
    missing: str = "ResourceNotFoundException"
    # Members that AWS adds: a value, NOW, CHANGED, VERSION or a text such as
    # "arn:aws:backup:{region}:{account}:restore-testing-plan:{RestoreTestingPlanName}".
    made: Mapping[str, Any] = field(default_factory=dict[str, Any])
    new_id: Callable[[], str] = lambda: str(uuid.uuid4())
    # Of a thing that was never set but is there (an account's option): its members.
    unset: Mapping[str, Any] | None = None
    # Members of a listing's request (lists) -> member of the thing that must be among them.
    wanted: Mapping[str, str] = field(default_factory=dict[str, str])
    # "TagResource UntagResource ListTagsForResource", where moto tags nothing recorded.
    tagging: Words = ""
    everywhere: bool = False  # one for all Regions, as CloudFront and IAM
    # Refuses what AWS refuses: (asked, the thing before, None at its creation).
    check: Callable[[Asked, Thing | None], None] | None = None

    def handlers(self) -> dict[str, Handler]:
        """The operations that this kind answers."""
        found: dict[str, Handler] = {}
        for words, handler in (
            (self.create, self._create),
            (self.describe, self._describe),
            (self.update, self._update),
            (self.delete, self._delete),
            (self.list, self._list),
        ):
            found |= dict.fromkeys(words.split(), handler)
        return found

    def _things(self, asked: Asked) -> dict[str, Thing]:
        return asked.store.things(self.service, self.kind, self.region(asked))

    def region(self, asked: Asked) -> str:
        """Where the thing lives."""
        return "everywhere" if self.everywhere else asked.region

    def _id(self, asked: Asked) -> str | None:
        """The name of what is asked for; None where the last part is still to be made up."""
        parts = [member(asked.request, name) for name in self.key.split()]
        return None if None in parts else "/".join(map(str, parts))

    def _existing(self, asked: Asked) -> Thing:
        id = self._id(asked)
        things = self._things(asked)
        if id not in things and self.unset is not None:
            return self._thing(asked, dict(self.unset))
        if id is None or id not in things:
            raise RecordedError(self.missing, f"{self.kind} {id} does not exist")
        wanted = asked.request.get("IfMatch")
        if wanted is not None and wanted != things[id].get("ETag"):
            raise RecordedError("PreconditionFailed", f"{wanted} is not the current version")
        return things[id]

    def _thing(self, asked: Asked, given: Thing) -> Thing:
        """What was given, with what AWS adds."""
        thing = dict(given)
        words = {"region": asked.region, "account": asked.account}
        moment = datetime.now(UTC).replace(microsecond=0)
        for name, value in self.made.items():
            match value:
                case _ if value is NOW:
                    thing.setdefault(name, moment)
                case _ if value is CHANGED:
                    thing[name] = moment
                case _ if value is VERSION:
                    thing[name] = f"E{uuid.uuid4().hex[:13].upper()}"
                case str():
                    thing[name] = value.format_map(words | flat(thing))
                case _:
                    thing.setdefault(name, value)
        return thing

    def _create(self, asked: Asked) -> Answer:
        things, id = self._things(asked), self._id(asked)
        old = things.get(id) if id is not None else None
        if self.check is not None:
            self.check(asked, old)
        if self.unique and not self.put:
            wanted = jmespath.search(self.unique, asked.request)
            if any(jmespath.search(self.unique, thing) == wanted for thing in things.values()):
                raise RecordedError(self.taken, f"{self.kind} {wanted!r} exists already")
        if old is not None and not self.put:
            raise RecordedError(self.taken, f"{self.kind} {id} exists already")
        given = {name: value for name, value in asked.request.items() if not _is_tags(name)}
        for name in self.key.split():
            if member(given, name) is None:
                given[name] = self.new_id()
        tags = next((v for name, v in asked.request.items() if _is_tags(name)), None)
        kept = {name: old[name] for name in self.made if name in old} if old else {}
        thing = self._thing(asked, kept | given)
        thing[_TAGS] = tags_as_map(tags) if tags is not None or old is None else old[_TAGS]
        things["/".join(str(member(thing, name)) for name in self.key.split())] = thing
        return self._answer(asked, thing)

    def _describe(self, asked: Asked) -> Answer:
        return self._answer(asked, self._existing(asked))

    def _update(self, asked: Asked) -> Answer:
        old = self._existing(asked)
        if self.check is not None:
            self.check(asked, old)
        id = self._id(asked) or ""
        thing = dict(old)
        for name, value in asked.request.items():
            shape, before = asked.inputs.members[name], old.get(name)
            if shape.type_name == "structure" and isinstance(before, dict):
                # What an update has no member for stays: the name inside a plan.
                unsaid = before.keys() - shape.members.keys()
                thing[name] = {inner: before[inner] for inner in unsaid} | value
            elif name != "IfMatch":
                thing[name] = value
        thing = self._things(asked)[id] = self._thing(asked, thing)
        return self._answer(asked, thing)

    def _delete(self, asked: Asked) -> Answer:
        thing = self._existing(asked)
        if self.check is not None:
            self.check(asked, thing)
        self._things(asked).pop(self._id(asked) or "", None)
        return self._answer(asked, thing)

    def _list(self, asked: Asked) -> Answer:
        return filled(asked.output, {}, self.selected(asked), frozenset(self.made))

    def selected(self, asked: Asked) -> list[Thing]:
        """The things that a listing's request asks for."""
        parents = [name for name in self.key.split() if name in asked.request]
        return [
            thing
            for thing in self._things(asked).values()
            if all(member(thing, name) == asked.request[name] for name in parents)
            and all(
                member(thing, of) in asked.request[name]
                for name, of in self.wanted.items()
                if asked.request.get(name)
            )
        ]

    def _answer(self, asked: Asked, thing: Thing) -> Answer:
        if asked.output is None:
            return {}
        return filled(asked.output, thing, [thing], frozenset(self.made))

    def tag_handlers(self) -> dict[str, Handler]:
        """The operations that tag; what is not recorded is moto's."""
        if not self.tagging:
            return {}
        add, remove, show = self.tagging.split()
        return {add: _tag, remove: _untag, show: _show_tags}


# ---- Members, answers, tags ------------------------------------------------------------------


def flat(thing: Mapping[str, Any]) -> Thing:
    """A thing's members and those of its blocks, its own first."""
    inner: Thing = {}
    for value in thing.values():
        if isinstance(value, Mapping):
            inner |= value
    return inner | dict(thing)


def member(thing: Mapping[str, Any], name: str) -> Any:
    """A member of a thing, or of one of its blocks."""
    return flat(thing).get(name)


def filled(
    shape: Any,
    thing: Thing,
    things: list[Thing],
    made: frozenset[str],
    around: frozenset[str] = frozenset(),
) -> Answer:
    """A thing, or a list of things, in the form of an operation's output.

    `around` has the shapes that this one stands in: some (a budget's filter) hold themselves.
    """
    members, around = flat(thing), around | {shape.name}
    result: Answer = {}
    for name, inner in shape.members.items():
        value = members.get(name)
        if _is_tags(name):
            continue
        if inner.type_name == "structure":
            if value is None and inner.name in around:
                continue
            block = filled(inner, thing, things, made, around) if value is None else dict(value)
            if value is not None:
                # AWS shows what it added inside the block that was given as well.
                block |= {n: members[n] for n in made & inner.members.keys() if n in members}
            if block:
                result[name] = block
        elif value is not None:
            result[name] = value
        elif inner.type_name == "list" and inner.member.type_name == "structure" and not thing:
            if inner.member.name not in around:
                result[name] = [filled(inner.member, one, [one], made, around) for one in things]
        elif name == "Quantity":
            result[name] = len(things)
        elif name in _COUNTS:
            result[name] = _COUNTS[name]
    return result


# What listings of CloudFront always say.
_COUNTS: Final[Mapping[str, Any]] = {"MaxItems": 100}


def _is_tags(name: str) -> bool:
    return name in ("Tags", "TagList", "TagSet", "ResourceTags")


def tags_as_map(tags: Any) -> dict[str, str]:
    """Tags in any of AWS's forms."""
    if isinstance(tags, Mapping):
        if "Items" not in tags and "Quantity" not in tags:
            return dict(tags)
        tags = tags.get("Items")
    return {tag["Key"]: tag.get("Value", "") for tag in tags or []}


def tags_in(shape: Any, tags: Mapping[str, str]) -> Any:
    """Tags in the form of a botocore shape."""
    if shape.type_name == "map":
        return dict(tags)
    pairs = [{"Key": key, "Value": value} for key, value in tags.items()]
    return pairs if shape.type_name == "list" else {"Items": pairs}


def _tagged(asked: Asked) -> Thing | None:
    arns = [v for v in asked.request.values() if isinstance(v, str) and v.startswith("arn:")]
    return asked.store.tagged(asked.service, arns[0]) if arns else None


def _tag(asked: Asked) -> Answer:
    thing = _tagged(asked)
    if thing is None:
        return asked.moto()
    thing[_TAGS] |= tags_as_map(next(v for n, v in asked.request.items() if _is_tags(n)))
    return {}


def _untag(asked: Asked) -> Answer:
    thing = _tagged(asked)
    if thing is None:
        return asked.moto()
    keys = next(v for name, v in asked.request.items() if "TagKey" in name)
    for key in keys["Items"] if isinstance(keys, Mapping) else keys:
        thing[_TAGS].pop(key, None)
    return {}


def _show_tags(asked: Asked) -> Answer:
    thing = _tagged(asked)
    if thing is None:
        return asked.moto()
    return {
        name: tags_in(shape, thing[_TAGS])
        for name, shape in asked.output.members.items()
        if _is_tags(name)
    }
