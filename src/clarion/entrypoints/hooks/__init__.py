"""What others call back: receipts, unsubscribes, opens and clicks."""

from __future__ import annotations
