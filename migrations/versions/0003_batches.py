"""Several effects may share one transaction: each has its own row of it."""

from __future__ import annotations

from alembic import op

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    with op.batch_alter_table("transactions") as table:  # SQLite can not drop a constraint in place
        table.drop_constraint("uq_transactions_txid", type_="unique")
        table.create_unique_constraint("uq_transactions_effect_id_txid", ["effect_id", "txid"])
