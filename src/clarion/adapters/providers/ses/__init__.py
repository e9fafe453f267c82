"""Mail through Amazon SES. What SES does that one would not expect is in README.md beside this file."""

from __future__ import annotations

from clarion.adapters.providers.ses.provider import SesProvider, build_ses
from clarion.adapters.providers.ses.receipts import read_ses

__all__ = ["SesProvider", "build_ses", "read_ses"]
