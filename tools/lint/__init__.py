"""House rules that no public linter knows. Run with `python -m tools.lint`; each module tells why its rule exists."""

from __future__ import annotations
