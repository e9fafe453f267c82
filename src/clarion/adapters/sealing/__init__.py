"""The cipher: AES-256-GCM under keys derived from one master key."""

from __future__ import annotations
