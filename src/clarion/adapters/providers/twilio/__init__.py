"""Text messages through Twilio. What Twilio does that one would not expect is in README.md beside this file."""

from __future__ import annotations

from clarion.adapters.providers.twilio.inbound import answer_twilio
from clarion.adapters.providers.twilio.provider import TwilioProvider, build_twilio
from clarion.adapters.providers.twilio.receipts import read_twilio

__all__ = ["TwilioProvider", "answer_twilio", "build_twilio", "read_twilio"]
