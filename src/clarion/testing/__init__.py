"""Shipped fakes, simulators and conformance suites. Production never imports it."""

from __future__ import annotations
