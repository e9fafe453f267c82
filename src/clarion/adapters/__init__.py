"""One folder per technology: the only code that imports its client."""

from __future__ import annotations
