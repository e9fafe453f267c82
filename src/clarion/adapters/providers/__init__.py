"""Vendors that carry messages. None knows another; `registry` knows them all, `base` owns what they have in common."""

from __future__ import annotations
