"""Bytes to proven values and back: keys, signatures, mandates, client secrets.

Pure: no clock, no file, no network; entropy and instants are arguments. The exception is
`SigningKey.generate`, which only adapters call. The only way from `RawToken` to `VerifiedMandate` is
`verify_mandate`, and nothing here accepts an algorithm other than ES256.

Open first: `mandates.py` (mint and verify), then `claims.py` (what each claim means).
"""
