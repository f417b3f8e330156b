"""Run by the environment of the published clients: reads the streams and verifies mandates, unmodified.

Reads lines of JSON: `{"authorize": header}` or `{"poll": true}`; answers a line for each.
"""

import asyncio
import json
import sys

import redis
from caracalai_revocation_redis import (
    RedisDelegationInvalidationConsumer,
    RedisRevocationConsumer,
    RedisRevocationStore,
)
from caracalai_verify import AuthOptions, create_mandate_verifier


def main() -> None:
    told = json.loads(sys.argv[1])
    client = redis.Redis(port=told["port"])
    store = RedisRevocationStore(client)
    signed = {"stream_hmac_key": bytes.fromhex(told["key"]), "require_signature": True}
    consumers = [
        kind(client, store, "reader", block_ms=10, **signed)
        for kind in (RedisRevocationConsumer, RedisDelegationInvalidationConsumer)
    ]
    for consumer in consumers:
        consumer.ensure_group()
    verifier = create_mandate_verifier(
        AuthOptions(
            issuer=told["issuer"],
            audience=told["audience"],
            expected_zone_id=told["zone_id"],
            revocations=store,
        )
    )
    for line in sys.stdin:
        asked = json.loads(line)
        if "poll" in asked:
            answer = sum(consumer.poll_once() for consumer in consumers)
        else:
            found = asyncio.run(verifier.authorization(asked["authorize"]))
            answer = found.error.code if found.error else None
        print(json.dumps(answer), flush=True)


if __name__ == "__main__":
    main()
