"""Alembic runs this. The connection and its transaction are the caller's: see `swapd/store/schema.py`.

Migrations only go up. Going back would have to throw away facts about money; restore a backup instead.
"""

from __future__ import annotations

from alembic import context

from swapd.store.models import Base

context.configure(connection=context.config.attributes["connection"], target_metadata=Base.metadata)
context.run_migrations()
