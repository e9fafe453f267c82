"""From a request to a decision to a durable, queued delivery."""

from __future__ import annotations
