"""The forms of reduction that change what the items of a dict or list hold."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import chain
from typing import Any

from . import refusals
from .containers import Keyed, check_holder, distinct, made_for, mutable
from .forms import Commit, Form, Namespace, nothing
from .places import fresh


@dataclass
class Nested(Keyed):
    """Changes of what an item holds: `d[a][b] += v`, `d.setdefault(a, {})[b] = v`. inner: how one item changes; create:
    what is there if nothing was, see `places.fresh`."""

    inner: Form = field(kw_only=True)
    create: str = ""
    packer = "nested"
    what = "a change in an item"

    @property
    def accumulator(self) -> str:
        return f"__firn_tools__.defaultdict(lambda: {self.inner.accumulator})"

    @property
    def shown(self) -> str:
        return f"in its items, {self.inner.shown}"

    def reassociate(self) -> None:
        self.inner.reassociate()

    @property
    def argument(self) -> tuple[Any, ...]:
        return (self.inner.packer, self.inner.argument)

    @property
    def may_be_list(self) -> bool:
        return super().may_be_list and not (self.create or self.guarded)

    def check(self, value: Any) -> None:
        check_holder(self, value, bool(self.create), "a dict or list")

    def inside(self, value: Any) -> list[Any]:
        holders = [item for item in mutable(value) if isinstance(item, (list, dict))]
        return [*holders, *chain.from_iterable(map(self.inner.inside, holders))]

    def prepare(self, effects: Sequence[Any], namespace: Namespace) -> Commit:
        if not any(effects):
            return nothing
        target = self.checked(namespace)
        parts: dict[Any, list[Any]] = {}
        for effect in effects:
            for key, inner in effect.items():
                parts.setdefault(key, []).append(inner)
        created: dict[Any, Any] = {}
        found: list[Any] = []
        commits: list[Commit] = []
        for key, inner in parts.items():
            if type(target) is list or key in target:
                item = target[key]
            else:
                item = created[key] = fresh(self.create) if self.create else made_for(target, key)
                found += self.inner.inside(item)
            found.append(item)
            commits.append(self.inner.prepare(inner, {self.inner.name: item}))
        distinct(self, found)  # two keys of one object would need the order among them

        def commit() -> None:
            for key, item in created.items():
                target[key] = item
            for change in commits:
                change()

        return commit


@dataclass
class Fields(Keyed):
    """Changes in several ways, each at a constant key of its own: `d["n"] += 1`, `d["all"].append(v)`."""

    keys: tuple[object, ...] = field(kw_only=True)
    forms: tuple[Form, ...] = field(kw_only=True)
    packer = "fields"
    what = "changes of items by their constant keys"

    @property
    def accumulator(self) -> str:
        return f"[{', '.join(form.accumulator for form in self.forms)}]"

    @property
    def shown(self) -> str:
        return "; ".join(f"[{key!r}]: {form.shown}" for key, form in zip(self.keys, self.forms, strict=True))

    def reassociate(self) -> None:
        for form in self.forms:
            form.reassociate()

    @property
    def argument(self) -> tuple[Any, ...]:
        return tuple((form.packer, form.argument) for form in self.forms)

    def aim(self, target: type | None) -> None:
        for form in self.forms:
            if isinstance(form, Keyed):
                form.aim(target)

    def check(self, value: Any) -> None:
        for form in self.forms:
            form.check(value)
        missing = [key for key in self.keys if isinstance(value, dict) and key not in value]
        if len(missing) > 1:
            raise refusals.new_fields(self.line, self.name, missing)

    def inside(self, value: Any) -> list[Any]:
        return list({id(part): part for form in self.forms for part in form.inside(value)}.values())

    def prepare(self, effects: Sequence[Any], namespace: Namespace) -> Commit:
        self.checked(namespace)
        commits = [
            form.prepare([effect[number] for effect in effects], namespace) for number, form in enumerate(self.forms)
        ]

        def commit() -> None:
            for change in commits:
                change()

        return commit
