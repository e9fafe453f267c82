"""Doubles of vendors: real servers on loopback that hold every request against the vendor's own schema.

A double is anything with `answer(HttpRequest) -> HttpReply`; `wire.serve` puts one on a port, over HTTP/1.1, with
faults to a script; `wire2.serve` over HTTP/2. `python -m clarion.testing.vendors KIND` runs one in a process of its
own, for benches.
"""

from __future__ import annotations

from clarion.testing.vendors.double import Answers, VendorDouble
from clarion.testing.vendors.fcm import FcmDouble
from clarion.testing.vendors.letters import MailDouble
from clarion.testing.vendors.mailgun import MailgunDouble
from clarion.testing.vendors.plivo import PlivoDouble
from clarion.testing.vendors.sendgrid import SendGridDouble
from clarion.testing.vendors.ses import SesDouble
from clarion.testing.vendors.twilio import TwilioDouble
from clarion.testing.vendors.vonage import VonageMessagesDouble, VonageSmsDouble
from clarion.testing.vendors.wire import DROP, HANG, Drip, Raw, VendorServer, serve

__all__ = [
    "DROP",
    "HANG",
    "Answers",
    "Drip",
    "FcmDouble",
    "MailDouble",
    "MailgunDouble",
    "PlivoDouble",
    "Raw",
    "SendGridDouble",
    "SesDouble",
    "TwilioDouble",
    "VendorDouble",
    "VendorServer",
    "VonageMessagesDouble",
    "VonageSmsDouble",
    "serve",
]
