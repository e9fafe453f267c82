"""From history to models: fitting, judging, promoting. Runs apart from every send."""

from __future__ import annotations
