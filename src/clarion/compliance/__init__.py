"""What may be sent: consent, suppression, quiet hours, caps."""

from __future__ import annotations
