"""Text messages through Plivo. What Plivo does that one would not expect is in README.md beside this file."""

from __future__ import annotations

from clarion.adapters.providers.plivo.inbound import answer_plivo
from clarion.adapters.providers.plivo.provider import PlivoProvider, build_plivo
from clarion.adapters.providers.plivo.receipts import read_plivo

__all__ = ["PlivoProvider", "answer_plivo", "build_plivo", "read_plivo"]
