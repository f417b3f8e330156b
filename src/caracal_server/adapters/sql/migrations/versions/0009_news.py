"""What ended, in order, for those outside who follow revocations.

Revision ID: 0009
Revises: 0008
"""

import sqlalchemy as sa
from alembic import op

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None

ID = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")
PLACE = sa.BigInteger().with_variant(sa.Integer, "sqlite")


def upgrade() -> None:
    op.create_table(
        "news",
        sa.Column("position", PLACE, autoincrement=False, nullable=False),
        sa.Column("zone_id", ID, nullable=False),
        sa.Column("what", sa.Text(), nullable=False),
        sa.Column("anchor", ID, nullable=False),
        sa.Column("why", sa.Text(), nullable=False),
        sa.Column("source", ID, nullable=False),
        sa.Column("target", ID, nullable=False),
        sa.Column("epoch", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("position", name="news_pk"),
    )
