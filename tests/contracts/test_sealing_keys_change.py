"""A sealing key takes over from another, and a crash at any moment leaves what opens everything."""

from datetime import UTC, datetime

import pytest
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey

from caracal.authority.outcomes import Reason, Unavailable
from caracal.tokens.secret import Secret
from caracal_server.adapters.sealing.key_files import KeyFileError, load_key
from caracal_server.adapters.sealing.key_ring import OPENING, SEALING, KeyRing
from caracal_server.adapters.sealing.resealing import CredentialsResealed, SigningKeysResealed
from caracal_server.adapters.sealing.succession import Succession
from caracal_server.adapters.sql.keys import SqlKeyStore
from caracal_server.ports.keys import SealedCredential, StoredSigningKey

AT = datetime(2026, 5, 4, 3, 2, 1, tzinfo=UTC)
PRIVATE = Secret("the private half")
CREDENTIAL = Secret("the credential")


@pytest.fixture
def ring(tmp_path, entropy):
    return KeyRing(tmp_path, entropy)


class Stalled(SqlKeyStore):
    """Loads, and fails to replace."""

    async def replace_sealed(self, sealed):
        raise Unavailable(Reason.STORE_UNAVAILABLE, "no more")


async def kept(database, ring, count=3):
    store, seal = SqlKeyStore(database), ring.private_key_seal(needed_by=None)
    for number in range(count):
        kid, zone = f"kid-{number}", f"zone-{number}"
        sealed = seal.seal(zone, kid, PRIVATE)
        await store.add(StoredSigningKey(kid, zone, sealed, "{}", AT))
    return store, seal


def opened(seal, keys):
    return [seal.open(key.zone_id, key.kid, key.sealed_private).reveal() for key in keys]


async def test_signing_keys_open_under_the_next_key_and_not_under_the_one_before(
    sqlite_database, ring, entropy
):
    store, seal = await kept(sqlite_database, ring)
    before = ring.private_key_seal(needed_by="it")
    earlier = await store.load_all()
    assert await SigningKeysResealed(ring, store, seal, entropy).reseal() == 3
    stored = await store.load_all()
    assert opened(seal, stored) == [PRIVATE.reveal()] * 3
    assert opened(ring.private_key_seal(needed_by="it"), stored) == [PRIVATE.reveal()] * 3
    for reader, keys in ((before, stored), (seal, earlier)):
        with pytest.raises(Unavailable):
            opened(reader, keys)


async def test_resealing_that_was_cut_off_loses_nothing_and_goes_on(sqlite_database, ring, entropy):
    store, seal = await kept(sqlite_database, ring)
    with pytest.raises(Unavailable):
        await SigningKeysResealed(ring, Stalled(sqlite_database), seal, entropy).reseal()
    restarted = ring.private_key_seal(needed_by="it")
    assert opened(restarted, await store.load_all()) == [PRIVATE.reveal()] * 3
    assert await SigningKeysResealed(ring, store, restarted, entropy).reseal() == 3
    assert ring.signing_seal_succession().before() is None
    assert opened(ring.private_key_seal(needed_by="it"), await store.load_all())


def test_a_credential_is_sealed_to_the_next_key_and_not_to_the_one_before(ring, entropy):
    opener, sealer = ring.credential_opener(needed_by=None), ring.credential_sealer()
    earlier = sealer.seal("zone", "provider", CREDENTIAL)
    before = ring.credential_opener(needed_by="it")
    change = CredentialsResealed(ring, opener, sealer, entropy)
    change.begin()
    resealed = change.reseal("zone", "provider", earlier)
    for sealed in (earlier, resealed):
        assert opener.open("zone", "provider", sealed) == CREDENTIAL
    with pytest.raises(Unavailable):
        change.finish([SealedCredential("zone", "provider", earlier)])
    assert ring.opening_succession().before() is not None, "something still needs it"
    change.finish([SealedCredential("zone", "provider", resealed)])
    assert ring.credential_opener(needed_by="it").open("zone", "provider", resealed) == CREDENTIAL
    for reader, sealed in ((before, resealed), (opener, earlier)):
        with pytest.raises(Unavailable):
            reader.open("zone", "provider", sealed)


def test_a_crash_between_the_next_key_and_its_public_half_is_made_good(ring, entropy, tmp_path):
    ring.credential_opener(needed_by=None)
    ring.credential_sealer()
    following = X25519PrivateKey.generate()
    assert ring.opening_succession().begin(following.private_bytes_raw())
    sealer, opener = ring.credential_sealer(), ring.credential_opener(needed_by="it")
    assert load_key(tmp_path / SEALING, "control-sealing") == (
        following.public_key().public_bytes_raw()
    )
    assert opener.open("z", "p", sealer.seal("z", "p", CREDENTIAL)) == CREDENTIAL
    CredentialsResealed(ring, opener, sealer, entropy).begin()
    assert load_key(tmp_path / OPENING, "gateway-opening") == following.private_bytes_raw()


def test_a_succession_goes_on_with_the_key_that_it_began_with(ring, tmp_path):
    ring.private_key_seal(needed_by=None)
    change = ring.signing_seal_succession()
    present = load_key(change.path, change.kind)
    assert change.begin(b"n" * 32)
    assert not change.begin(b"o" * 32)
    assert (load_key(change.path, change.kind), change.before()) == (b"n" * 32, present)
    change.finish()
    change.finish()
    assert change.before() is None
    assert {path.stat().st_mode & 0o777 for path in tmp_path.iterdir()} == {0o600}


def test_a_copy_of_the_present_key_is_no_key_before(ring):
    ring.private_key_seal(needed_by=None)
    change = ring.signing_seal_succession()
    change.before_path.write_bytes(change.path.read_bytes())
    change.before_path.chmod(0o600)
    assert change.before() is None
    assert change.begin(b"n" * 32)
    assert change.before() is not None


def test_nothing_changes_where_a_key_can_not_be_written(tmp_path):
    change = Succession(tmp_path / "none.key", "sts-seal")
    with pytest.raises(KeyFileError):
        change.begin(b"n" * 32)
    assert list(tmp_path.iterdir()) == []


def test_a_key_file_that_can_not_be_used_is_a_store_that_can_not_be_reached(
    ring, entropy, tmp_path
):
    opener, sealer = ring.credential_opener(needed_by=None), ring.credential_sealer()
    (tmp_path / OPENING).unlink()
    with pytest.raises(Unavailable):
        CredentialsResealed(ring, opener, sealer, entropy).begin()
    assert opener.open("z", "p", sealer.seal("z", "p", CREDENTIAL)) == CREDENTIAL


class OncePublished(KeyRing):
    """Fails to publish the first time."""

    failed = False

    def publish_sealing(self, public):
        if not self.failed:
            self.failed = True
            raise KeyFileError("no space")
        super().publish_sealing(public)


def test_a_change_that_failed_half_way_is_done_again_in_the_same_process(tmp_path, entropy):
    ring = OncePublished(tmp_path, entropy)
    opener, sealer = ring.credential_opener(needed_by=None), ring.credential_sealer()
    earlier = sealer.seal("zone", "provider", CREDENTIAL)
    change = CredentialsResealed(ring, opener, sealer, entropy)
    with pytest.raises(Unavailable):
        change.begin()
    change.begin()
    resealed = change.reseal("zone", "provider", earlier)
    change.finish([SealedCredential("zone", "provider", resealed)])
    restarted = KeyRing(tmp_path, entropy)
    later = restarted.credential_sealer().seal("zone", "provider", CREDENTIAL)
    for reader in (opener, restarted.credential_opener(needed_by="it")):
        for sealed in (resealed, later, sealer.seal("zone", "provider", CREDENTIAL)):
            assert reader.open("zone", "provider", sealed) == CREDENTIAL


async def test_signing_keys_are_sealed_under_the_key_on_disk_whatever_memory_holds(
    sqlite_database, ring, entropy
):
    store, seal = await kept(sqlite_database, ring)
    ring.signing_seal_succession().begin(b"n" * 32)
    assert await SigningKeysResealed(ring, store, seal, entropy).reseal() == 3
    restarted = ring.private_key_seal(needed_by="it")
    assert ring.signing_seal_succession().before() is None
    assert opened(restarted, await store.load_all()) == [PRIVATE.reveal()] * 3
