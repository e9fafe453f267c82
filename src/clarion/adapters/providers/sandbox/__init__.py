"""The provider that sends nothing: it records, and can be told to be slow, to fail, to throttle, to report back."""

from __future__ import annotations

from clarion.adapters.providers.sandbox.provider import SandboxProvider, build_sandbox
from clarion.adapters.providers.sandbox.receipts import read_sandbox

__all__ = ["SandboxProvider", "build_sandbox", "read_sandbox"]
