"""What can stop a rendering from inside."""

from __future__ import annotations

from clarion.kernel.errors import Permanent
from clarion.templates.model import FailureKind


class Unrenderable(Permanent):
    """One message cannot be made. Raised by filters and checks, caught by the renderer; `detail` holds no values."""

    def __init__(self, kind: FailureKind, detail: str) -> None:
        super().__init__(detail)
        self.kind: FailureKind = kind
