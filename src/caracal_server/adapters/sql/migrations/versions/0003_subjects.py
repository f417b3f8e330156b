"""Issuers that vouch for users, the users of sessions, and traits of applications.

Revision ID: 0003
Revises: 0002
"""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

ID = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")


def upgrade() -> None:
    op.create_table(
        "subject_issuer",
        sa.Column("zone_id", ID, nullable=False),
        sa.Column("issuer", sa.Text(), nullable=False),
        sa.Column("position", sa.Integer(), nullable=False),
        sa.Column("jwks_url", sa.Text(), nullable=False),
        sa.Column("audience", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(
            ["zone_id"], ["zone.id"], name="subject_issuer_zone_id_fk", ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("zone_id", "issuer", name="subject_issuer_pk"),
    )
    op.add_column("application", sa.Column("traits", sa.Text()))
    op.add_column("session", sa.Column("user_issuer", sa.Text()))
    op.add_column("session", sa.Column("user_name", sa.Text()))
