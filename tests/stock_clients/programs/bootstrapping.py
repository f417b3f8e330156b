"""How the published SDK comes to a configuration, and what it says when there is none."""

import asyncio
import json
import os
import tempfile
from pathlib import Path

from caracalai import Caracal
from caracalai.advanced import ClientCredentials, from_config, from_credentials, from_env
from telling import (
    API,
    APPLICATION,
    COORDINATOR,
    GATEWAY,
    HELPER,
    READ,
    SECRET,
    STS,
    UPSTREAM,
    ZONE,
    check,
    client,
    refusal,
    refused,
    tell,
)

FOLDER = Path(tempfile.mkdtemp())


def written(name, text):
    path = FOLDER / name
    path.write_text(text)
    path.chmod(0o600)
    return str(path)


def environment(**changes):
    own = {name: value for name, value in os.environ.items() if name.startswith("CARACAL_")}
    return {name: value for name, value in (own | changes).items() if value is not None}


PROFILE = f"""
zone_id = "{ZONE}"
application_id = "{APPLICATION}"
app_client_secret_file = "{written("secret", SECRET)}"
sts_url = "{STS}"
coordinator_url = "{COORDINATOR}"
gateway_url = "{GATEWAY}"
default_ttl_seconds = 240

[[credentials]]
resource = "{API}"
upstream_prefix = "{UPSTREAM}"

[[optional_credentials]]
resource = "resource://not-provisioned"
"""


async def works(caracal):
    """Whether a call as the application gets through."""
    http = caracal.application_transport(API, scopes=[READ])
    answer = await http.get(f"{UPSTREAM}/json")
    await caracal.aclose()
    return [answer.status_code, caracal.config.zone_id == ZONE]


@check
async def from_the_environment():
    caracal = Caracal()
    identity = list(caracal.identity()) == [ZONE, APPLICATION]
    return {"works": await works(caracal), "identity": identity}


@check
async def from_a_secret_in_a_file():
    path = written("secret", SECRET)
    return await works(
        from_env(environment(CARACAL_APP_CLIENT_SECRET=None, CARACAL_APP_CLIENT_SECRET_FILE=path))
    )


@check
async def from_a_file_of_resources():
    path = written("resources", json.dumps([{"resource_id": API, "upstream_prefix": UPSTREAM}]))
    return await works(from_env(environment(CARACAL_RESOURCES=None, CARACAL_RESOURCES_FILE=path)))


@check
async def from_a_profile():
    path = written("profile.toml", PROFILE)
    env = environment(CARACAL_APP_CLIENT_SECRET=None, CARACAL_RESOURCES=None)
    one = from_config(path, env)
    async with one.session() as ctx:
        bound = ctx.zone_id == ZONE
    os.environ["CARACAL_CONFIG"] = path
    try:
        other = Caracal()
    finally:
        del os.environ["CARACAL_CONFIG"]
    return {"works": await works(one), "detected": await works(other), "bound": bound}


@check
async def in_production_over_loopback():
    return await works(from_env(environment(CARACAL_ENV="production")))


@check
async def from_a_resolver_of_credentials():
    given = [ClientCredentials(ZONE, APPLICATION, SECRET)]
    caracal = from_credentials(
        coordinator_url=COORDINATOR,
        sts_url=STS,
        gateway_url=GATEWAY,
        credentials=lambda: given[0],
        resources=[API],
    )
    async with caracal.session():
        identity = list(caracal.identity()) == [ZONE, APPLICATION]
    caracal.config.exchanger.invalidate()
    given[0] = None
    none = await refusal(caracal.session().__aenter__())
    given[0] = ClientCredentials(ZONE, APPLICATION, "cs_" + "x" * 43)
    wrong = await refusal(caracal.session().__aenter__())
    given[0] = ClientCredentials(ZONE, APPLICATION, SECRET)
    again = await refusal(caracal.session().__aenter__())
    return {"identity": identity, "none": none, "wrong": wrong, "again": again}


@check
async def from_a_bootstrap_token():
    token = client().config.subject_token
    caracal = from_env(environment(CARACAL_APP_CLIENT_SECRET=None, CARACAL_BOOTSTRAP_TOKEN=token))
    async with caracal.session() as ctx:
        session = bool(ctx.session_id)
    mint = await refusal(asyncio.to_thread(caracal.mint_mandate, API, [READ]))
    return {"session": session, "mint": mint}


@check
async def resources_that_are_not_all_there():
    """One of them known: the others are left out. None of them: refused."""
    some = client(resources=[API, "resource://not-provisioned"])
    async with some.session() as ctx:
        session = bool(ctx.session_id)
    none = await refusal(client(resources=["resource://nothing"]).session().__aenter__())
    bare = await refusal(client(resources=[]).session().__aenter__())
    return {"session": session, "none": none, "bare": bare}


@check
async def what_is_wrong_with_the_credential_is_told():
    def ask(**changes):
        return refused(lambda: client(**changes).config.subject_token)

    return {
        "secret": ask(secret="cs_" + "x" * 43),
        "application": ask(application="nobody"),
        "zone": ask(zone_id="nowhere"),
        "other_secret": ask(application=HELPER),
        "empty": ask(secret=" "),
    }


@check
async def services_that_are_not_there_are_told():
    nowhere = "http://127.0.0.1:9"
    sts = refused(lambda: client(sts_url=nowhere).config.subject_token)
    coordinator = await refusal(client(coordinator_url=nowhere).session().__aenter__())
    return {"sts": sts, "coordinator": coordinator}


tell()
