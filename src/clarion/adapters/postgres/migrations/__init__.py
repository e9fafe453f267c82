"""The schema's history: numbered Alembic revisions, each a `.sql` file. `pre_`: before a deploy, `post_`: after."""

from __future__ import annotations
