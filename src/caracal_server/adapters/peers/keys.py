"""Peer keys: each service's own private half, and a list of everybody's public ones."""

import base64
import binascii
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from caracal_server.adapters.sealing.key_files import KEY_BYTES, KeyFileError, load_key
from caracal_server.web.peers.services import PeerName, parse_peer

KIND: Final = "peer"
FILE: Final = "peer.key"
_PURPOSE: Final = b"caracal/peer/1"


@dataclass(frozen=True, slots=True)
class PeerKeys:
    """The MAC keys that one service shares with each other one, one for each direction."""

    me: PeerName
    sending: dict[PeerName, bytes] = field(repr=False)
    receiving: dict[PeerName, bytes] = field(repr=False)

    @classmethod
    def load(cls, me: PeerName, private_file: Path, list_file: Path) -> "PeerKeys":
        """Read a service's key and everybody's public halves.

        Raises:
            KeyFileError: a file is missing or not what it should be, or the key is not the listed one.
        """
        private = X25519PrivateKey.from_private_bytes(load_key(private_file, KIND))
        public = _read_list(list_file)
        if public.get(me) != private.public_key().public_bytes_raw():
            raise KeyFileError(f"{list_file}: lists another key for {me} than {private_file} holds")
        sending: dict[PeerName, bytes] = {}
        receiving: dict[PeerName, bytes] = {}
        for peer, raw in public.items():
            if peer != me:
                try:
                    shared = private.exchange(X25519PublicKey.from_public_bytes(raw))
                except ValueError:
                    raise KeyFileError(f"{list_file}: the key of {peer} can not be used") from None
                sending[peer] = _derived(shared, me, peer)
                receiving[peer] = _derived(shared, peer, me)
        return cls(me, sending, receiving)


def render_list(public: dict[PeerName, bytes]) -> str:
    """The list of public keys as a file: a line for each process."""
    return "".join(
        f"{service} {base64.b64encode(raw).decode()}\n" for service, raw in sorted(public.items())
    )


def _read_list(file: Path) -> dict[PeerName, bytes]:
    try:
        lines = file.read_text(encoding="ascii").splitlines()
        found = {
            parse_peer(name): base64.b64decode(encoded, validate=True)
            for name, encoded in (line.split(" ") for line in lines if line)
        }
    except OSError as error:
        raise KeyFileError(f"{file}: {error.strerror}") from None
    except (ValueError, binascii.Error):
        raise KeyFileError(f"{file}: not a list of peers and their public keys") from None
    if any(len(raw) != KEY_BYTES for raw in found.values()):
        raise KeyFileError(f"{file}: a public key has {KEY_BYTES} bytes")
    return found


def _derived(shared: bytes, caller: PeerName, callee: PeerName) -> bytes:
    info = b"|".join((_PURPOSE, caller.encode(), callee.encode()))
    return HKDF(algorithm=SHA256(), length=KEY_BYTES, salt=None, info=info).derive(shared)
