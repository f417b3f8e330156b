"""The tables, as they are on both engines. The migrations make them; a test holds the two together.

Instants and durations are whole microseconds. Identifiers compare byte by byte, so that newest first is
the order of the identifiers that `adapters/entropy.py` mints.
"""

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    Table,
    Text,
    UniqueConstraint,
    text,
)

metadata = MetaData(
    naming_convention={
        "pk": "%(table_name)s_pk",
        "uq": "%(table_name)s_%(column_0_N_name)s_key",
        "fk": "%(table_name)s_%(column_0_name)s_fk",
    }
)

Id = Text().with_variant(Text(collation="C"), "postgresql")
Place = BigInteger().with_variant(Integer, "sqlite")
"""On SQLite the rowid itself: the table is then one B-tree that only grows at its end."""


def _zone() -> Column[str]:
    return Column("zone_id", Id, ForeignKey("zone.id", ondelete="CASCADE"), nullable=False)


zone = Table(
    "zone",
    metadata,
    Column("id", Id, primary_key=True),
    Column("name", Text, nullable=False),
    Column("revision", BigInteger, nullable=False),
    Column("created_at", BigInteger, nullable=False),
    Column("policy_digest", Text),
    Column("title", Text),
    Column("archived_at", BigInteger),
)

application = Table(
    "application",
    metadata,
    Column("id", Id, primary_key=True),
    _zone(),
    Column("position", Integer, nullable=False),
    Column("name", Text, nullable=False),
    Column("enabled", Boolean, nullable=False),
    Column("expires_at", BigInteger),
    Column("secret_hash", Text),
    Column("retiring_secret_hash", Text),
    Column("retiring_secret_until", BigInteger),
    Column("traits", Text),
    Column("title", Text),
    Column("public_keys", Text),
    Column("redirect_uris", Text),
    Column("metadata_hosts", Text),
    Column("takes_registrations", Boolean),
    UniqueConstraint("zone_id", "name"),
)

provider = Table(
    "provider",
    metadata,
    Column("id", Id, primary_key=True),
    _zone(),
    Column("position", Integer, nullable=False),
    Column("name", Text, nullable=False),
    Column("kind", Text, nullable=False),
    Column("header", Text),
    Column("scheme", Text, nullable=False),
    Column("query_parameter", Text),
    Column("username", Text, nullable=False),
    Column("allowed_hosts", Text, nullable=False),
    Column("forward_identity", Boolean, nullable=False),
    Column("sealed_credential", LargeBinary),
    Column("credential_fingerprint", Text),
    Column("title", Text),
    UniqueConstraint("zone_id", "name"),
)

resource = Table(
    "resource",
    metadata,
    Column("id", Id, primary_key=True),
    _zone(),
    Column("position", Integer, nullable=False),
    Column("identifier", Text, nullable=False),
    Column("name", Text, nullable=False),
    Column("upstream_url", Text, nullable=False),
    Column("provider_id", Id, ForeignKey("provider.id")),
    Column("scopes", Text, nullable=False),
    Column("operations", Text, nullable=False),
    Column("enforcement", Text, nullable=False),
    Column("mcp", Text),
    UniqueConstraint("zone_id", "identifier"),
)

subject_issuer = Table(
    "subject_issuer",
    metadata,
    Column("zone_id", Id, ForeignKey("zone.id", ondelete="CASCADE"), primary_key=True),
    Column("issuer", Text, primary_key=True),
    Column("position", Integer, nullable=False),
    Column("jwks_url", Text, nullable=False),
    Column("audience", Text, nullable=False),
    Column("authorization_url", Text),
    Column("token_url", Text),
)

tool_pin = Table(
    "tool_pin",
    metadata,
    Column("zone_id", Id, ForeignKey("zone.id", ondelete="CASCADE"), primary_key=True),
    Column("resource_id", Id, primary_key=True),
    Column("tool", Text, primary_key=True),
    Column("position", Integer, nullable=False),
    Column("digest", Text, nullable=False),
    Column("definition", Text, nullable=False),
    Column("held_digest", Text, nullable=False),
    Column("held_definition", Text, nullable=False),
    Column("seen_at", BigInteger, nullable=False),
    Column("accepted_by", Text, nullable=False),
)

policy_version = Table(
    "policy_version",
    metadata,
    Column("zone_id", Id, ForeignKey("zone.id"), primary_key=True),
    Column("digest", Text, primary_key=True),
    Column("text", Text, nullable=False),
    Column("created_at", BigInteger, nullable=False),
)

policy_item = Table(
    "policy_item",
    metadata,
    Column("id", Id, primary_key=True),
    _zone(),
    Column("kind", Text, nullable=False),
    Column("parent", Id, nullable=False),
    Column("name", Text, nullable=False),
    Column("digest", Text, nullable=False),
    Column("text", Text, nullable=False),
    Column("created_at", BigInteger, nullable=False),
    UniqueConstraint("zone_id", "kind", "parent", "name"),
)

signing_key = Table(
    "signing_key",
    metadata,
    Column("kid", Id, primary_key=True),
    Column("zone_id", Id, nullable=False),
    Column("sealed_private", LargeBinary, nullable=False),
    Column("public_jwk", Text, nullable=False),
    Column("created_at", BigInteger, nullable=False),
)

operator_token = Table(
    "operator_token",
    metadata,
    Column("id", Id, primary_key=True),
    Column("name", Text, nullable=False),
    Column("token_sha256", Text, nullable=False),
    Column("scopes", Text, nullable=False),
    Column("created_at", BigInteger, nullable=False),
    Column("expires_at", BigInteger),
    UniqueConstraint("token_sha256"),
)

session = Table(
    "session",
    metadata,
    Column("id", Id, primary_key=True),
    Column("zone_id", Id, nullable=False),
    Column("application_id", Id, nullable=False),
    Column("parent_id", Id),
    Column("path", Text, nullable=False),
    Column("record", Text, nullable=False),
    Column("lifecycle", Text, nullable=False),
    Column("labels", Text, nullable=False),
    Column("status", Text, nullable=False),
    Column("started_at", BigInteger, nullable=False),
    Column("ttl", BigInteger),
    Column("lease_expires_at", BigInteger),
    Column("lease_generation", Integer, nullable=False),
    Column("last_heartbeat_at", BigInteger),
    Column("metadata", Text, nullable=False),
    Column("ended_at", BigInteger),
    Column("end_reason", Text, nullable=False),
    Column("version", Integer, nullable=False),
    Column("health", Text, nullable=False),
    Column("user_issuer", Text),
    Column("user_name", Text),
    sqlite_with_rowid=False,
)
_LIVE = text("status IN ('active', 'suspended')")
Index("session_zone", session.c.zone_id, session.c.id)
Index("session_application", session.c.application_id, session.c.id)
_IS_CHILD = text("parent_id IS NOT NULL")
Index(
    "session_parent",
    session.c.parent_id,
    session.c.id,
    sqlite_where=_IS_CHILD,
    postgresql_where=_IS_CHILD,
)
Index("session_live", session.c.zone_id, sqlite_where=_LIVE, postgresql_where=_LIVE)

delegation = Table(
    "delegation",
    metadata,
    Column("id", Id, primary_key=True),
    Column("zone_id", Id, nullable=False),
    Column("source", Id, nullable=False),
    Column("target", Id, nullable=False),
    Column("issuer", Id, nullable=False),
    Column("receiver", Id, nullable=False),
    Column("path", Text, nullable=False),
    Column("chain", Text, nullable=False),
    Column("scopes", Text, nullable=False),
    Column("resources", Text),
    Column("hops", Integer, nullable=False),
    Column("max_ttl", BigInteger),
    Column("budget", Integer),
    Column("reason", Text, nullable=False),
    Column("expires_at", BigInteger, nullable=False),
    Column("status", Text, nullable=False),
    Column("created_at", BigInteger, nullable=False),
    Column("revoked_at", BigInteger),
    Column("version", Integer, nullable=False),
    sqlite_with_rowid=False,
)
Index("delegation_zone", delegation.c.zone_id, delegation.c.id)
Index("delegation_source", delegation.c.source, delegation.c.id)
Index("delegation_target", delegation.c.target, delegation.c.id)
Index("delegation_expiry", delegation.c.zone_id, delegation.c.expires_at)

revocation = Table(
    "revocation",
    metadata,
    Column("zone_id", Id, primary_key=True),
    Column("kind", Text, primary_key=True),
    Column("anchor", Id, primary_key=True),
    Column("at", BigInteger, nullable=False),
    Column("reason", Text, nullable=False),
    sqlite_with_rowid=False,
)
Index("revocation_at", revocation.c.at)

graph_epoch = Table(
    "graph_epoch",
    metadata,
    Column("zone_id", Id, primary_key=True),
    Column("epoch", BigInteger, nullable=False),
    sqlite_with_rowid=False,
)

news = Table(
    "news",
    metadata,
    Column("position", Place, primary_key=True, autoincrement=False),
    Column("zone_id", Id, nullable=False),
    Column("what", Text, nullable=False),
    Column("anchor", Id, nullable=False),
    Column("why", Text, nullable=False),
    Column("source", Id, nullable=False),
    Column("target", Id, nullable=False),
    Column("epoch", BigInteger, nullable=False),
)

idempotency_receipt = Table(
    "idempotency_receipt",
    metadata,
    Column("zone_id", Id, primary_key=True),
    Column("scope", Text, primary_key=True),
    Column("operation", Text, primary_key=True),
    Column("key_digest", Text, primary_key=True),
    Column("request_digest", Text, nullable=False),
    Column("status", Integer, nullable=False),
    Column("body", LargeBinary, nullable=False),
    Column("result_id", Text, nullable=False),
    Column("expires_at", BigInteger, nullable=False),
    sqlite_with_rowid=False,
)
Index("idempotency_receipt_expiry", idempotency_receipt.c.expires_at)

evidence_log = Table(
    "evidence_log",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("zone_id", Id, nullable=False),
    UniqueConstraint("zone_id"),
)

evidence_entry = Table(
    "evidence_entry",
    metadata,
    Column("place", Place, primary_key=True, autoincrement=False),
    Column("at", BigInteger, nullable=False),
    Column("kind", Text, nullable=False),
    Column("verdict", Text, nullable=False),
    Column("request", Text, nullable=False),
    Column("session", Text, nullable=False),
    Column("application", Text, nullable=False),
    Column("hashes", LargeBinary, nullable=False),
    Column("data", LargeBinary, nullable=False),
)

evidence_span = Table(
    "evidence_span",
    metadata,
    Column("span", Place, primary_key=True, autoincrement=False),
    Column("first_at", BigInteger, nullable=False),
    Column("last_at", BigInteger, nullable=False),
)

evidence_mention = Table(
    "evidence_mention",
    metadata,
    Column("span", BigInteger, primary_key=True, autoincrement=False),
    Column("value", Id, primary_key=True),
    sqlite_with_rowid=False,
)

evidence_filter = Table(
    "evidence_filter",
    metadata,
    Column("block", Integer, primary_key=True, autoincrement=False),
    Column("span", BigInteger, primary_key=True, autoincrement=False),
    Column("prints", LargeBinary, nullable=False),
    sqlite_with_rowid=False,
)

evidence_tile = Table(
    "evidence_tile",
    metadata,
    Column("tile", Place, primary_key=True, autoincrement=False),
    Column("hashes", LargeBinary, nullable=False),
)

evidence_checkpoint = Table(
    "evidence_checkpoint",
    metadata,
    Column("log_id", Integer, ForeignKey("evidence_log.id"), primary_key=True),
    Column("size", BigInteger, primary_key=True),
    Column("note", Text, nullable=False),
    Column("at", BigInteger, nullable=False),
    sqlite_with_rowid=False,
)

evidence_opening = Table(
    "evidence_opening",
    metadata,
    Column("place", Place, primary_key=True, autoincrement=False),
    Column("at", BigInteger, nullable=False),
    Column("pseudonym", Id, nullable=False),
    Column("data", LargeBinary, nullable=False),
)

evidence_person = Table(
    "evidence_person",
    metadata,
    Column("log_id", Integer, ForeignKey("evidence_log.id"), primary_key=True),
    Column("digest", LargeBinary, primary_key=True),
    Column("pseudonym", Id, nullable=False),
    sqlite_with_rowid=False,
)

evidence_erasure = Table(
    "evidence_erasure",
    metadata,
    Column("place", Place, primary_key=True, autoincrement=False),
)
