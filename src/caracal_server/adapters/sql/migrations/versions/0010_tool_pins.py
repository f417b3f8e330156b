"""What is known of the definitions of MCP servers' tools.

Revision ID: 0010
Revises: 0009
"""

import sqlalchemy as sa
from alembic import op

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None


ID = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")


def upgrade() -> None:
    op.create_table(
        "tool_pin",
        sa.Column("zone_id", ID, nullable=False),
        sa.Column("resource_id", ID, nullable=False),
        sa.Column("tool", sa.Text(), nullable=False),
        sa.Column("position", sa.Integer(), nullable=False),
        sa.Column("digest", sa.Text(), nullable=False),
        sa.Column("definition", sa.Text(), nullable=False),
        sa.Column("held_digest", sa.Text(), nullable=False),
        sa.Column("held_definition", sa.Text(), nullable=False),
        sa.Column("seen_at", sa.BigInteger(), nullable=False),
        sa.Column("accepted_by", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(
            ["zone_id"], ["zone.id"], name="tool_pin_zone_id_fk", ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("zone_id", "resource_id", "tool", name="tool_pin_pk"),
    )
