"""Which values a stretch of a log mentions, in little room.

Revision ID: 0007
Revises: 0006
"""

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "evidence_filter",
        sa.Column("block", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("span", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("prints", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("block", "span", name="evidence_filter_pk"),
        sqlite_with_rowid=False,
    )
