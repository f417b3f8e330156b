"""Our HTTP messages, read and rendered: bytes to values and back, without a server or a clock.

Every message is read whole or refused with a `WireError`; nothing is guessed. `docs/wire.md` holds the
formats and their rules of growth. No module here knows a status code: the edge does.

Open first: `forms.py` (the token request) and `paths.py` (what the Gateway forwards).
"""
