"""Audit as a process of its own: the only writer of the evidence, over a database that is its alone."""

import asyncio
from contextlib import AsyncExitStack
from dataclasses import replace
from datetime import timedelta

from caracal_server.adapters.peers.evidence import CLOSE_SECONDS
from caracal_server.adapters.peers.questions import RemoteOperators
from caracal_server.adapters.peers.shards import RemoteShard
from caracal_server.adapters.sealing.key_ring import KeyRing
from caracal_server.adapters.sql.evidence import SqlEvidenceStore
from caracal_server.assembly.audit_settings import audit_settings
from caracal_server.assembly.log_keys import log_key_routes, log_keys
from caracal_server.assembly.owned_database import owned_database
from caracal_server.assembly.service_process import Built, Ground
from caracal_server.assembly.start_entry import InstanceLog
from caracal_server.assembly.witnesses import witnesses
from caracal_server.audit.anchoring import Sharding
from caracal_server.audit.peer_api import AuditPeerApi, StoredLogs, local_log
from caracal_server.audit.service import build_audit_service
from caracal_server.web.peers.services import Service
from caracal_server.web.problems import render_problem_details
from caracal_server.web.routes import Edge


async def build(ground: Ground, stack: AsyncExitStack) -> Built:
    """Put Audit together over its database, and take up its logs.

    Raises:
        KeyFileError: the key that signs for the logs is missing.
        DatabaseInUse, Unavailable: the database can not be had.
    """
    ring = KeyRing(ground.directory.keys, ground.entropy)
    keys = log_keys(ring, needed_by="the evidence logs")
    database = await owned_database(ground, stack)
    store = SqlEvidenceStore(database)
    logs = StoredLogs(await store.logs())
    origin = ground.settings["LOG_ORIGIN"] or ground.directory.log_origin(ground.entropy)
    shards = {name: RemoteShard(it) for name, it in ground.peering.shard_channels().items()}
    audit = build_audit_service(
        store,
        logs,
        keys,
        ground.clock,
        replace(
            audit_settings(origin, ground.settings),
            shard=ground.settings["SHARD"],
            unfinished_grace=timedelta(seconds=ground.settings["DRAIN_SECONDS"] + CLOSE_SECONDS),
        ),
        entropy=ground.entropy,
        witnesses=witnesses(ground.settings, stack),
        sharding=Sharding(shards, logs.add),
    )
    audit.register(ground.registry)
    await audit.start()
    audit.unfinished.look()
    stack.push_async_callback(audit.close)
    control = ground.peering.channel(Service.CONTROL)
    watching = asyncio.create_task(control.watch())
    stack.callback(watching.cancel)
    ground.checks |= audit.checks() | {"peer_control": control.check}
    operators = RemoteOperators(control)
    routes = (
        *audit.routes(operators),
        *log_key_routes(audit, ring, ground.entropy, operators),
    )
    return Built(
        app=Edge(routes, refuse=render_problem_details, entropy=ground.entropy),
        evidence=InstanceLog(local_log(audit.sequencer, logs), ground.peering.instance),
        answers=(
            *AuditPeerApi(audit.log, store, logs, audit.unfinished.look).answers(),
            *audit.shard_answers,
        ),
    )
