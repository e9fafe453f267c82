"""Our features for who works with Feast: a Feast repository of the same definitions, and history to fill it from."""

from __future__ import annotations
