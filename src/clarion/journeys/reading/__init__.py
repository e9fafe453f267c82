"""Reading a definition as people write it: many spellings in, one graph out, and findings for what does not fit."""

from __future__ import annotations
