"""One thing that could be better about a template."""

from __future__ import annotations

from typing import Literal, TypeAlias

import msgspec

Severity: TypeAlias = Literal["error", "warning", "hint"]
"""`error`: readers would see something broken, or never see it. `warning`: some would. `hint`: could be better."""


class Finding(msgspec.Struct, frozen=True):
    """What the linter says: `code` names the rule, `detail` what is wrong, `remedy` how to mend it.

    `path` is the part's in the body of the request; `line` counts from 1 in that part, or in the partial that is named
    (0: the part as a whole).
    """

    severity: Severity
    code: str
    path: str
    detail: str
    remedy: str
    line: int = 0
    partial: str = ""
