"""Mail through Mailgun. What Mailgun does that one would not expect is in README.md beside this file."""

from __future__ import annotations

from clarion.adapters.providers.mailgun.provider import MailgunProvider, build_mailgun
from clarion.adapters.providers.mailgun.receipts import read_mailgun

__all__ = ["MailgunProvider", "build_mailgun", "read_mailgun"]
