"""The ways in: HTTP, argv and processes. The only code that knows them."""

from __future__ import annotations
