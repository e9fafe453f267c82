"""The steps of a definition while it is read: each with its id and its next, those written in place taken out."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, Final

import msgspec

from clarion.journeys.durations import write_span
from clarion.journeys.findings import Report, show
from clarion.journeys.graph import (
    END,
    MAX_STEPS,
    Arm,
    BranchSpec,
    Case,
    DigestSpec,
    GotoSpec,
    OnError,
    Spec,
    SplitSpec,
    Step,
    ThrottleSpec,
    WaitSpec,
)
from clarion.journeys.reading.delays import read_delay
from clarion.journeys.reading.fields import Fields, Found, is_list, is_object
from clarion.journeys.reading.kinds import READERS, find_kind, is_delay
from clarion.journeys.reading.rules import read_condition
from clarion.journeys.reading.steps import CASES
from clarion.journeys.reading.ways import GOTO, Setting

MAX_LEVELS: Final = 20
"""Steps within steps."""

ON_ERROR: Final = ("on_error", "on_failure", "error_policy", "if_error")
MAX_ID: Final = 100
MAX_RETRIES: Final = 20
DEFAULT_TRY_MS: Final = 10_000
LONGEST_TRY_MS: Final = 60_000

_IDS: Final = ("id", "step_id", "key")
_NEXT: Final = ("next", "next_step", "goto", "then")
_CONDITION: Final = ("condition", "if", "when", "only_if")
_ONWARD: Final = frozenset({"next", "continue", "proceed"})
_ENDS: Final = frozenset({"", "end", "exit", "stop", "finish", "done", "complete", "none", "null"})
_POLICIES: Final[dict[str, OnError]] = {
    **dict.fromkeys(("skip", "continue", "ignore", "next"), "skip"),
    **dict.fromkeys(("exit", "stop", "abort", "fail", "end"), "exit"),
    **dict.fromkeys(("retry", "retry_forever"), "retry"),
}


def _is_way(kind: str, fields: Fields) -> bool:
    """Whether the step's own `condition` is its way; beside a list of ways it says whether the step is taken."""
    ways = fields.peek(*CASES)
    return kind == "branch" and (ways is None or not is_list(ways.value))


class Placed:
    """Steps as they are read."""

    def __init__(self, report: Report) -> None:
        self._report = report
        self._steps: dict[str, Step] = {}
        self._paths: dict[str, str] = {}
        self._setting: Setting | None = None
        self._after = END
        self._level = 0
        self._leads: list[tuple[str, str, str]] = []  # (path, step, where it leads)

    def begin(self, found: Found, setting: Setting) -> str | None:
        """Read all steps of a definition; the id of the first, None where there is none."""
        self._setting = setting
        return self._place(found, "")

    def lead(self, found: Found, fields: Fields) -> str | None:
        """Where a field leads: a step's id, END, or None for the next step. Steps written in place are taken in."""
        value = found.value
        if is_object(value):
            inner = fields.inner(found)
            if inner is None or not set(value) <= {*GOTO, "label", "name"} or not inner.has(*GOTO):
                return self._place(Found([value], found.name, found.path), fields.step)
            inner.skip("label", "name")
            way = inner.take(*GOTO)
            inner.close()
            return None if way is None else self.lead(way, fields)
        if is_list(value):
            return self._place(found, fields.step) if value else None
        return None if value is True else self._lead_by_name(found, fields)

    def _lead_by_name(self, found: Found, fields: Fields) -> str | None:
        is_name = isinstance(found.value, str | int) and not isinstance(found.value, bool)
        word = str(found.value).strip() if is_name and len(show(found.value)) <= MAX_ID else None
        if word is None:
            fields.report.error(found.path, f"{show(found.value)} is no step: write its id")
            return None
        if word.lower() in _ONWARD and word not in self._paths:
            return None
        self._leads.append((found.path, fields.step, word))
        return word

    def settle(self, report: Report) -> dict[str, Step]:
        """All steps, with every way leading to a step that is there, or to the end."""
        for path, step, target in self._leads:
            if self.resolve(target) == END and target.lower() not in _ENDS:
                report.warn(path, f"there is no step {show(target)}: the run ends there", step)
        return {step.id: self._settled(step) for step in self._steps.values()}

    def resolve(self, target: str) -> str:
        """The step of this name, or END."""
        return target if target in self._steps else END

    def _place(self, found: Found, above: str) -> str | None:
        """Take in a list of steps that goes on, behind its last, where its place does. The id of the first."""
        listed = found.value if is_list(found.value) else [found.value]
        if self._level >= MAX_LEVELS:
            self._report.error(
                found.path, f"steps are nested more than {MAX_LEVELS} levels deep: give them ids", above
            )
            return None
        ids = [self._name(step, f"{found.path}[{i}]", above, i) for i, step in enumerate(listed)]
        if len(self._paths) > MAX_STEPS or not ids:
            if ids:
                self._report.error(
                    found.path, f"a journey has {MAX_STEPS} steps at most: split it into several"
                )
            return None
        after, self._level = self._after, self._level + 1
        for i, (ident, step) in enumerate(zip(ids, listed, strict=True)):
            self._after = ids[i + 1] if i + 1 < len(ids) else after
            self._read(ident, step, f"{found.path}[{i}]")
        self._after, self._level = after, self._level - 1
        return ids[0]

    def _name(self, raw: Any, path: str, above: str, place: int) -> str:  # noqa: ANN401  any JSON
        values = raw if is_object(raw) else {}
        given = next(
            (values[name] for name in (*_IDS, "name") if isinstance(values.get(name), str | int)), None
        )
        ident = "" if given is None or isinstance(given, bool) else str(given).strip()[: MAX_ID + 1]
        if ident in self._paths:
            self._report.error(
                path, f"the id {show(ident)} is also that of {self._paths[ident]}: rename one", ident
            )
        if len(ident) > MAX_ID:
            self._report.error(path, f"an id has {MAX_ID} characters at most: shorten it")
        while not ident or ident in self._paths:
            kind = str(values.get("type", "step"))[:30]
            ident = f"{above}_{place + 1}" if above and not ident else f"{ident or kind}_{place + 1}"
        self._paths[ident] = path
        return ident

    def _read(self, ident: str, raw: Any, path: str) -> None:  # noqa: ANN401  any JSON
        if not is_object(raw):
            self._report.error(
                path, f"{show(raw)} stands here, where a step is expected: an object with type", ident
            )
            return
        setting = self._setting
        if setting is None:
            return
        fields = Fields(raw, path, self._report, ident)
        fields.unfold("config", "params", "with")
        fields.skip(*_IDS, "label", "title")
        step = self._read_step(ident, fields, setting)
        if step is not None:
            self._steps[ident] = step

    def _read_step(self, ident: str, fields: Fields, setting: Setting) -> Step | None:
        kind, channels = find_kind(fields)
        if not kind:
            return None
        after = self._after
        onward = self._read_next(kind, fields)
        following = after if onward is None else onward
        self._after = following
        own_delay = None if is_delay(kind, fields) else fields.take("delay", "delay_before")
        condition = None if _is_way(kind, fields) else fields.take(*_CONDITION)
        on_error = read_on_error(fields, *ON_ERROR, default=setting.on_error)
        spec = self._read_spec(kind, fields, setting, channels)
        step = Step(
            id=ident,
            next=following,
            path=fields.path,
            spec=spec or GotoSpec(following),
            condition=None if condition is None else read_condition(condition, fields),
            delay=None if own_delay is None else read_delay(own_delay, fields, setting.zone),
            on_error=on_error,
            retries=fields.integer("retries", "max_retries", "retry", default=3, low=0, high=MAX_RETRIES),
            timeout_ms=_read_timeout(kind, fields),
        )
        fields.skip("name")
        fields.close()
        self._after = after
        return step

    def _read_next(self, kind: str, fields: Fields) -> str | None:
        """Where the step leads when nothing else is said."""
        if kind == "goto":
            return None
        names = [name for name in _NEXT if not (kind in {"branch", "wait"} and name in {"then", "goto"})]
        if kind == "exit":
            fields.skip(*names)
            return None
        found = fields.take(*names)
        if found is None:
            return END if {"next", "next_step"} & set(fields.names()) else None
        return self.lead(found, fields)

    def _read_spec(
        self, kind: str, fields: Fields, setting: Setting, channels: tuple[str, ...]
    ) -> Spec | None:
        if kind == "absent":
            fields.report.warn(
                fields.path, f"there is no channel {show(channels[0])} here: this step is passed by"
            )
            fields.skip(*fields.names())
            return None
        return READERS[kind](fields, replace(setting, channels=channels))

    def _settled(self, step: Step) -> Step:
        following = self.resolve(step.next)
        spec = step.spec
        match spec:
            case BranchSpec():
                cases = tuple(Case(one.condition, self._way(one.goto), one.label) for one in spec.cases)
                spec = BranchSpec(cases)
            case SplitSpec():
                spec = SplitSpec(
                    tuple(
                        Arm(one.name, one.weight, self._way(one.goto), one.is_holdout) for one in spec.arms
                    ),
                    spec.salt,
                )
            case WaitSpec():
                spec = msgspec.structs.replace(
                    spec, on_event=self._way(spec.on_event), on_timeout=self._way(spec.on_timeout)
                )
            case DigestSpec():
                spec = msgspec.structs.replace(spec, on_empty=self._way(spec.on_empty))
            case ThrottleSpec():
                spec = msgspec.structs.replace(spec, on_limit=self._way(spec.on_limit))
            case GotoSpec():
                spec = GotoSpec(self.resolve(spec.goto))
            case _:
                pass
        return msgspec.structs.replace(step, next=following, spec=spec)

    def _way(self, target: str | None) -> str | None:
        return None if target is None else self.resolve(target)


def _read_timeout(kind: str, fields: Fields) -> int:
    """How long one try of the step's effect may take. That of a wait is for its event."""
    if kind == "wait":
        return DEFAULT_TRY_MS
    given = fields.span("timeout", "step_timeout", default=DEFAULT_TRY_MS)
    if given > LONGEST_TRY_MS:
        fields.report.note(
            fields.path, f"a try of a step takes {write_span(LONGEST_TRY_MS)} at most: it is given up then"
        )
    return min(given, LONGEST_TRY_MS) or DEFAULT_TRY_MS


def read_on_error(fields: Fields, *names: str, default: OnError) -> OnError:
    """What becomes of a run when a step fails."""
    found = fields.take(*names)
    if found is None:
        return default
    word = found.value.strip().lower() if isinstance(found.value, str) else ""
    if word not in _POLICIES:
        fields.report.error(
            found.path, f"there is no policy {show(found.value)}: there are skip, exit and retry"
        )
    return _POLICIES.get(word, default)
