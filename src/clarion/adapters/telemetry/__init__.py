"""What operators see: logs, metrics, traces. Ids only, no PII."""

from __future__ import annotations
