"""Mail through SendGrid. What SendGrid does that one would not expect is in README.md beside this file."""

from __future__ import annotations

from clarion.adapters.providers.sendgrid.provider import SendGridProvider, build_sendgrid
from clarion.adapters.providers.sendgrid.receipts import read_sendgrid

__all__ = ["SendGridProvider", "build_sendgrid", "read_sendgrid"]
