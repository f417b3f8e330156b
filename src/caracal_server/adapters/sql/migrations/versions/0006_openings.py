"""What opens commitments, whom it is about, and what waits to be erased.

Revision ID: 0006
Revises: 0005
"""

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None

ID = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")
PLACE = sa.BigInteger().with_variant(sa.Integer, "sqlite")


def upgrade() -> None:
    op.create_table(
        "evidence_opening",
        sa.Column("place", PLACE, autoincrement=False, nullable=False),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.Column("pseudonym", ID, nullable=False),
        sa.Column("data", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("place", name="evidence_opening_pk"),
    )
    op.create_table(
        "evidence_person",
        sa.Column("log_id", sa.Integer(), nullable=False),
        sa.Column("digest", sa.LargeBinary(), nullable=False),
        sa.Column("pseudonym", ID, nullable=False),
        sa.ForeignKeyConstraint(["log_id"], ["evidence_log.id"], name="evidence_person_log_id_fk"),
        sa.PrimaryKeyConstraint("log_id", "digest", name="evidence_person_pk"),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "evidence_erasure",
        sa.Column("place", PLACE, autoincrement=False, nullable=False),
        sa.PrimaryKeyConstraint("place", name="evidence_erasure_pk"),
    )
