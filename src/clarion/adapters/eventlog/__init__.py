"""The event log: Valkey Streams (embedded), Kafka."""

from __future__ import annotations
