"""Which swaps came out of a backup: what was sent for them since then is not known."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"


def upgrade() -> None:
    op.add_column("swaps", sa.Column("restored_at", sa.BigInteger(), nullable=True))
