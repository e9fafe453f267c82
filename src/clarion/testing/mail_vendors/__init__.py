"""Vendors of e-mail in this process: they hold every request against the vendor's own schema, and keep what arrives."""

from __future__ import annotations

from clarion.testing.mail_vendors.double import Arrived, MailDouble
from clarion.testing.mail_vendors.mailgun import MailgunDouble
from clarion.testing.mail_vendors.sendgrid import SendGridDouble
from clarion.testing.mail_vendors.ses import SesDouble

__all__ = ["Arrived", "MailDouble", "MailgunDouble", "SendGridDouble", "SesDouble"]
