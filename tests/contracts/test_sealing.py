"""Sealed things open for whom they were sealed; key files are guarded and never replaced."""

import contextlib
import os
import resource
import signal
import stat
import tempfile
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey

from caracal.authority.identifiers import ProviderId, ZoneId
from caracal.authority.outcomes import Unavailable
from caracal.tokens.secret import Secret
from caracal_server.adapters.sealing.binding import bind
from caracal_server.adapters.sealing.credentials import HpkeOpener, HpkeSealer
from caracal_server.adapters.sealing.key_files import KeyFileError, create_key, load_key
from caracal_server.adapters.sealing.key_ring import (
    EVIDENCE,
    OPENING,
    PEPPER,
    SEALING,
    SIGNING_SEAL,
    KeyRing,
)
from caracal_server.adapters.sealing.private_keys import PrivateKeySeal

ZONE, PROVIDER = ZoneId("zone"), ProviderId("provider")
CREDENTIAL = Secret("s3cret upstream token ü")


@pytest.fixture
def ring(tmp_path, entropy):
    return KeyRing(tmp_path / "keys", entropy)


def test_what_control_seals_the_gateway_opens(ring):
    opener = ring.credential_opener(needed_by=None)
    sealed = ring.credential_sealer().seal(ZONE, PROVIDER, CREDENTIAL)

    assert opener.open(ZONE, PROVIDER, sealed) == CREDENTIAL
    assert b"s3cret" not in sealed


def test_the_same_credential_is_never_sealed_the_same(ring):
    ring.credential_opener(needed_by=None)
    sealer = ring.credential_sealer()

    assert sealer.seal(ZONE, PROVIDER, CREDENTIAL) != sealer.seal(ZONE, PROVIDER, CREDENTIAL)


@pytest.mark.parametrize(
    ("zone_id", "provider_id"),
    [("other", "provider"), ("zone", "other"), ("zoneprovider", ""), ("provider", "zone")],
)
def test_a_credential_opens_for_its_own_zone_and_provider_only(ring, zone_id, provider_id):
    opener = ring.credential_opener(needed_by=None)
    sealed = ring.credential_sealer().seal(ZONE, PROVIDER, CREDENTIAL)

    with pytest.raises(Unavailable):
        opener.open(ZoneId(zone_id), ProviderId(provider_id), sealed)


def test_a_credential_that_was_changed_or_cut_does_not_open(ring):
    opener = ring.credential_opener(needed_by=None)
    sealed = ring.credential_sealer().seal(ZONE, PROVIDER, CREDENTIAL)

    for at in range(len(sealed)):
        changed = bytearray(sealed)
        changed[at] ^= 1
        with pytest.raises(Unavailable):
            opener.open(ZONE, PROVIDER, bytes(changed))
    for length in (0, 1, 33, len(sealed) - 1):
        with pytest.raises(Unavailable):
            opener.open(ZONE, PROVIDER, sealed[:length])


def test_another_gateways_key_opens_nothing():
    mine, other = X25519PrivateKey.generate(), X25519PrivateKey.generate()
    sealed = HpkeSealer(mine.public_key()).seal(ZONE, PROVIDER, CREDENTIAL)

    with pytest.raises(Unavailable) as caught:
        HpkeOpener(other).open(ZONE, PROVIDER, sealed)
    assert "s3cret" not in str(caught.value)


def test_a_private_key_opens_for_its_own_zone_and_kid_and_key_only(entropy):
    seal = PrivateKeySeal(b"k" * 32, entropy)
    sealed = seal.seal(ZONE, "kid", CREDENTIAL)

    assert seal.open(ZONE, "kid", sealed) == CREDENTIAL
    for other, zone_id, kid in (
        (seal, "other", "kid"),
        (seal, "zone", "other"),
        (PrivateKeySeal(b"K" * 32, entropy), "zone", "kid"),
    ):
        with pytest.raises(Unavailable):
            other.open(ZoneId(zone_id), kid, sealed)
    for changed in (b"", b"\x01", b"\x02" + sealed[1:], sealed[:-1], sealed + b"x"):
        with pytest.raises(Unavailable):
            seal.open(ZONE, "kid", changed)


def test_a_binding_tells_names_apart_wherever_they_are_split():
    assert (
        len({bind("p", *names) for names in (("ab", "c"), ("a", "bc"), ("abc",), ("abc", ""))}) == 4
    )


def test_keys_are_made_once_and_are_the_same_from_then_on(ring):
    for load in (ring.client_secret_pepper, ring.evidence_key, ring.credential_opener):
        first, second = load(needed_by=None), load(needed_by="everything")
        if isinstance(first, Secret):
            assert first == second
        elif not isinstance(first, HpkeOpener):
            assert first.private_bytes_raw() == second.private_bytes_raw()
    sealed = ring.private_key_seal(needed_by=None).seal(ZONE, "kid", CREDENTIAL)
    assert ring.private_key_seal(needed_by="it").open(ZONE, "kid", sealed) == CREDENTIAL


def test_every_key_has_a_file_of_its_own_that_only_its_owner_can_use(ring, tmp_path):
    ring.private_key_seal(needed_by=None)
    ring.credential_opener(needed_by=None)
    ring.credential_sealer()
    ring.client_secret_pepper(needed_by=None)
    ring.evidence_key(needed_by=None)

    files = {path.name: path for path in (tmp_path / "keys").iterdir()}
    assert set(files) == {SIGNING_SEAL, OPENING, SEALING, PEPPER, EVIDENCE}
    assert all(stat.S_IMODE(path.stat().st_mode) == 0o600 for path in files.values())
    assert stat.S_IMODE((tmp_path / "keys").stat().st_mode) == 0o700
    assert len({path.read_bytes() for path in files.values()}) == 5


def test_a_missing_key_that_something_needs_is_an_error_and_not_a_new_key(ring, tmp_path):
    for load in (
        ring.private_key_seal,
        ring.credential_opener,
        ring.client_secret_pepper,
        ring.evidence_key,
    ):
        with pytest.raises(KeyFileError, match="sealed credentials"):
            load(needed_by="sealed credentials")
    assert not (tmp_path / "keys").exists()


def test_control_seals_without_the_gateways_private_key(ring, tmp_path):
    opener = ring.credential_opener(needed_by=None)
    ring.credential_sealer()
    (tmp_path / "keys" / OPENING).unlink()

    assert opener.open(ZONE, PROVIDER, ring.credential_sealer().seal(ZONE, PROVIDER, CREDENTIAL))


def test_control_without_any_key_does_not_make_one(ring):
    with pytest.raises(KeyFileError):
        ring.credential_sealer()


def test_a_sealing_key_that_is_not_the_gateways_is_refused(ring, tmp_path):
    ring.credential_opener(needed_by=None)
    ring.credential_sealer()
    (tmp_path / "keys" / OPENING).unlink()
    ring.credential_opener(needed_by=None)

    with pytest.raises(KeyFileError, match="another"):
        ring.credential_sealer()


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o660, 0o601, 0o777])
def test_a_key_file_that_others_may_use_is_refused(tmp_path, mode):
    path = tmp_path / "key"
    create_key(path, "test", b"k" * 32)
    path.chmod(mode)

    with pytest.raises(KeyFileError, match="chmod 600"):
        load_key(path, "test")


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can hand over a file of its own")
@pytest.mark.parametrize(
    ("mode", "usable"), [(0o440, True), (0o640, True), (0o660, False), (0o444, False)]
)
def test_roots_key_file_may_be_read_by_the_group_that_it_was_handed_to(mode, usable):
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "key"
        create_key(path, "test", b"k" * 32)
        os.chown(path, 0, 65532)
        path.chmod(mode)
        Path(folder).chmod(0o755)
        os.setegid(65532)
        os.seteuid(65532)
        try:
            with contextlib.nullcontext() if usable else pytest.raises(KeyFileError, match="chmod"):
                assert load_key(path, "test") == b"k" * 32
        finally:
            os.seteuid(0)
            os.setegid(0)


@pytest.mark.parametrize(
    "text",
    [
        b"",
        b"caracal-test",
        b"caracal-test !!!!",
        b"caracal-test c2hvcnQ=",
        b"caracal-other a2tra2tra2tra2tra2tra2tra2tra2tra2tra2tra2s=",
        b"\xff\xfe",
        b"x" * 5000,
    ],
)
def test_a_file_that_is_not_this_kind_of_key_is_refused_without_showing_it(tmp_path, text):
    path = tmp_path / "key"
    path.touch(0o600)
    path.write_bytes(text)

    with pytest.raises(KeyFileError) as caught:
        load_key(path, "test")
    assert str(caught.value) == f"{path}: not a test key"


def test_a_key_is_never_read_through_a_link_or_from_something_else(tmp_path):
    create_key(tmp_path / "key", "test", b"k" * 32)
    (tmp_path / "link").symlink_to(tmp_path / "key")
    (tmp_path / "folder").mkdir()
    for name in ("link", "folder", "missing"):
        with pytest.raises(KeyFileError):
            load_key(tmp_path / name, "test")


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a file away")
def test_a_key_of_another_user_is_refused(tmp_path):
    create_key(tmp_path / "key", "test", b"k" * 32)
    os.chown(tmp_path / "key", 65534, 65534)

    with pytest.raises(KeyFileError, match="another user"):
        load_key(tmp_path / "key", "test")


def test_a_key_is_never_written_over_another(tmp_path):
    create_key(tmp_path / "key", "test", b"k" * 32)

    with pytest.raises(KeyFileError):
        create_key(tmp_path / "key", "test", b"K" * 32)
    assert load_key(tmp_path / "key", "test") == b"k" * 32


def test_a_key_that_can_not_be_written_whole_leaves_no_file(tmp_path):
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    ignored = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (16, limits[1]))
    try:
        with pytest.raises(KeyFileError):
            create_key(tmp_path / "key", "test", b"k" * 32)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
        signal.signal(signal.SIGXFSZ, ignored)
    assert list(tmp_path.iterdir()) == []
