"""What an MCP server offers; a resource without it is an HTTP API.

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
    op.add_column("resource", sa.Column("mcp", sa.Text()))
