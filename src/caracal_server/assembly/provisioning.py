"""`caracal provision`: one directory for each service, with the keys that it may hold and no other."""

import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey

from caracal.tokens.secret import Secret
from caracal_server.adapters.entropy import SystemEntropy
from caracal_server.adapters.peers.keys import FILE as PEER
from caracal_server.adapters.peers.keys import KIND as PEER_KIND
from caracal_server.adapters.peers.keys import render_list
from caracal_server.adapters.sealing.key_files import KEY_BYTES, create_key, load_key
from caracal_server.adapters.sealing.key_ring import (
    EVIDENCE,
    EVIDENCE_KIND,
    OPENING,
    OPENING_KIND,
    PEPPER,
    PEPPER_KIND,
    SEALING,
    SEALING_KIND,
    SIGNING_SEAL,
    SIGNING_SEAL_KIND,
    KeyRing,
)
from caracal_server.assembly.data_directory import DataDirectory
from caracal_server.assembly.derived_keys import RECEIPTS as RECEIPTS_PURPOSE
from caracal_server.assembly.derived_keys import derived_key
from caracal_server.web.peers.services import PeerName, Service, is_shard, peer_name, service_of

RECEIPTS: Final = "receipt-digest.key"
RECEIPTS_KIND: Final = "receipt-digest"
PEERS: Final = "peers"

_NEEDED = "services that run apart"


@dataclass(frozen=True, slots=True)
class Key:
    """A key file, and the services that hold it."""

    file: str
    kind: str
    holders: tuple[Service, ...]


KEYS: Final = (
    Key(SIGNING_SEAL, SIGNING_SEAL_KIND, (Service.STS,)),
    Key(PEPPER, PEPPER_KIND, (Service.STS, Service.CONTROL)),
    Key(OPENING, OPENING_KIND, (Service.GATEWAY,)),
    Key(SEALING, SEALING_KIND, (Service.CONTROL,)),
    Key(RECEIPTS, RECEIPTS_KIND, (Service.COORDINATOR,)),
    Key(EVIDENCE, EVIDENCE_KIND, (Service.AUDIT,)),
)
"""Who holds what (ADR 8). A peer key of its own comes on top, for each."""


class ProvisioningRefused(Exception):
    """It would overwrite something, or a shard can not be called so. The message names it."""


def provision(
    root: Path, entropy: SystemEntropy, source: DataDirectory | None, shards: Sequence[str] = ()
) -> tuple[Path, ...]:
    """Make a directory for each service and each shard of Audit below `root`; return them.

    Args:
        root: there must be no directory of a service in it.
        entropy: makes new keys.
        source: of a deployment in one process, whose keys are handed out instead of new ones.
        shards: their names. The key that signs for a shard's logs is its own.

    Raises:
        ProvisioningRefused: a directory of a service exists already, or a shard can not be called so.
        KeyFileError: a key of `source` is missing or can not be used.
        OSError: something can not be written.
    """
    shards = tuple(dict.fromkeys(shards))
    directories = _directories(root, shards)
    keys = _new_keys(entropy) if source is None else _kept_keys(source, entropy)
    for directory in directories.values():
        directory.create()
    for key in KEYS:
        for holder in key.holders:
            create_key(directories[peer_name(holder)].keys / key.file, key.kind, keys[key.file])
    for shard in shards:
        own = directories[peer_name(Service.AUDIT, shard)].keys / EVIDENCE
        create_key(own, EVIDENCE_KIND, entropy.token_bytes(KEY_BYTES))
    _make_peer_keys(directories, entropy)
    origin = (source or directories[peer_name(Service.AUDIT)]).log_origin(entropy)
    for name, directory in directories.items():
        if service_of(name) is Service.AUDIT:
            _write(directory.root / "log-origin", f"{origin}\n")
    return tuple(directory.root for directory in directories.values())


def _directories(root: Path, shards: Sequence[str]) -> dict[PeerName, DataDirectory]:
    for shard in shards:
        if not is_shard(shard):
            raise ProvisioningRefused(f"{shard!r} is no name: a letter, then up to 19 of a-z 0-9 -")
    names = (*map(peer_name, Service), *(peer_name(Service.AUDIT, one) for one in shards))
    directories = {name: DataDirectory(root / name) for name in names}
    for directory in directories.values():
        if os.path.lexists(directory.root):
            raise ProvisioningRefused(f"{directory.root} exists already")
    return directories


def _new_keys(entropy: SystemEntropy) -> dict[str, bytes]:
    keys = {key.file: entropy.token_bytes(KEY_BYTES) for key in KEYS}
    return keys | {SEALING: _public(keys[OPENING])}


def _kept_keys(source: DataDirectory, entropy: SystemEntropy) -> dict[str, bytes]:
    kept = {
        key.file: load_key(source.keys / key.file, key.kind)
        for key in KEYS
        if key.file not in {RECEIPTS, SEALING}
    }
    pepper: Secret = KeyRing(source.keys, entropy).client_secret_pepper(needed_by=_NEEDED)
    receipts = bytes.fromhex(derived_key(pepper, RECEIPTS_PURPOSE).reveal())
    return kept | {SEALING: _public(kept[OPENING]), RECEIPTS: receipts}


def _make_peer_keys(directories: dict[PeerName, DataDirectory], entropy: SystemEntropy) -> None:
    public: dict[PeerName, bytes] = {}
    for name, directory in directories.items():
        private = entropy.token_bytes(KEY_BYTES)
        create_key(directory.keys / PEER, PEER_KIND, private)
        public[name] = _public(private)
    for directory in directories.values():
        _write(directory.root / PEERS, render_list(public))


def _public(private: bytes) -> bytes:
    return X25519PrivateKey.from_private_bytes(private).public_key().public_bytes_raw()


def _write(file: Path, text: str) -> None:
    descriptor = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
    with os.fdopen(descriptor, "w", encoding="ascii") as opened:
        opened.write(text)
        opened.flush()
        os.fsync(descriptor)


def held_by(service: Service) -> Iterable[str]:
    """The key files of a service."""
    return (*(key.file for key in KEYS if service in key.holders), PEER)
