"""The data documents of zones, their versions and the sets of them.

Revision ID: 0012
Revises: 0011
"""

import sqlalchemy as sa
from alembic import op

revision = "0012"
down_revision = "0011"
branch_labels = None
depends_on = None


def upgrade() -> None:
    identifier = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")
    op.create_table(
        "policy_item",
        sa.Column("id", identifier, nullable=False),
        sa.Column("zone_id", identifier, nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("parent", identifier, nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("digest", sa.Text(), nullable=False),
        sa.Column("text", sa.Text(), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="policy_item_pk"),
        sa.ForeignKeyConstraint(
            ["zone_id"], ["zone.id"], name="policy_item_zone_id_fk", ondelete="CASCADE"
        ),
        sa.UniqueConstraint(
            "zone_id", "kind", "parent", "name", name="policy_item_zone_id_kind_parent_name_key"
        ),
    )
