"""Waivers of the size budget: named debts, which can be paid off but not forgotten.

A list of exceptions that nobody prunes ends as the rule. So a waiver holds for one thing at one size: once the thing
has shrunk, or is gone, the waiver itself is the finding, until it is lowered or removed.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from tools.lint.model import Finding


@dataclass(frozen=True)
class Waiver:
    """Permission for `name` in `path` to measure up to `value` under `rule`. `line` is where the list says so."""

    line: int
    rule: str
    path: str
    name: str
    value: int


def read(text: str) -> list[Waiver]:
    """Parse the list: `RULE PATH[::NAME] VALUE` on each line, `#` begins a comment. Raises ValueError otherwise."""
    waivers: list[Waiver] = []
    for number, raw in enumerate(text.splitlines(), start=1):
        words = raw.partition("#")[0].split()
        if not words:
            continue
        try:
            rule, thing, value = words
            path, _, name = thing.partition("::")
            waivers.append(Waiver(number, rule, path, name, int(value)))
        except ValueError:
            msg = f"line {number}: expected `RULE PATH[::NAME] VALUE`, not {raw!r}"
            raise ValueError(msg) from None
    return waivers


def apply(findings: Iterable[Finding], waivers: Iterable[Waiver], list_path: str) -> list[Finding]:
    """The findings that no waiver covers, and one more for each waiver that is larger than what it covers."""
    open_waivers = {(waiver.rule, waiver.path, waiver.name): waiver for waiver in waivers}
    left: list[Finding] = []
    for finding in findings:
        waiver = open_waivers.get((finding.rule, finding.path, finding.name))
        if waiver is None or finding.value > waiver.value:
            left.append(finding)
        if waiver is not None and finding.value >= waiver.value:
            del open_waivers[waiver.rule, waiver.path, waiver.name]
    left += [
        Finding(
            list_path, waiver.line, "stale-waiver", f"{waiver.path} needs less than this: lower or remove it"
        )
        for waiver in open_waivers.values()
    ]
    return left
