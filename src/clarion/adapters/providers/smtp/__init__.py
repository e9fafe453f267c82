"""Mail through any SMTP server. What SMTP servers do that one would not expect is in README.md beside this file."""

from __future__ import annotations

from clarion.adapters.providers.smtp.provider import SmtpProvider, build_smtp
from clarion.adapters.providers.smtp.receipts import read_smtp

__all__ = ["SmtpProvider", "build_smtp", "read_smtp"]
