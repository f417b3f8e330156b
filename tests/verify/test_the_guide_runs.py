"""Every Python block of docs/verify.md runs, against a started Caracal, and does what the page says."""

import asyncio
import re
from pathlib import Path

import httpx
import pytest

from caracal.verify import CacheRules, Code, NotVerified, Settings
from caracal.verify.key_cache import KeyCache
from caracal.verify.requirements import DEFAULT_LEEWAY, Requirements
from caracal.verify.revocations import DEFAULT_MAX_AGE
from tests.support.deployment import API, eventually

_PAGE = (Path(__file__).parents[2] / "docs/verify.md").read_text()
_BLOCKS = re.findall(r"^```python\n(.*?)^```$", _PAGE, re.MULTILINE | re.DOTALL)
_ELSEWHERE = "caracal.verify.mcp"  # tests/verify_mcp runs those, where `mcp` and `fastmcp` are


@pytest.fixture
def page(protected) -> dict:
    """The names that all blocks of the page leave behind, run one after another."""
    authority = protected.zone.agent().authority()
    answer = authority.call("/orders")
    assert answer.status_code == 200, answer.text
    server, secret = protected.zone.applications["helper"]
    names = {
        "header": answer.json()["seen"],
        "application_expected": authority.agent.application,
        "secret": secret,
    }
    for block in (text for text in _BLOCKS if _ELSEWHERE not in text):
        real = block.replace("https://caracal.example", protected.zone.deployment.running.control)
        real = real.replace('"01J00000000000000000000000"', repr(protected.zone.id))
        real = real.replace('"01J00000000000000000000002"', repr(server))
        exec(compile(real, "docs/verify.md", "exec"), names)
    return names


def test_each_block_does_what_the_page_says(page):
    application = page["application_expected"]
    assert page["principal"].application_id == application
    assert page["principal"].targets == (API,)
    assert page["answer"][:2] == (403, Code.INSUFFICIENT_SCOPE)
    for app, expected in ((page["app"], {"for": application}), (page["app"], None)):
        answer = asyncio.run(_get(app, page["header"] if expected else None))
        assert answer.status_code == (200 if expected else 401)
        assert expected is None or answer.json() == expected
    guarded = httpx.WSGITransport(page["guarded"])
    with httpx.Client(transport=guarded, base_url="http://any") as http:
        assert http.get("/orders").status_code == 401
        assert http.get("/x", headers={"authorization": page["header"]}).text == application
    assert page["keys"].keys(_kid(page["header"]))
    assert len(page["view"].view) >= 1
    page["thread"].start()
    eventually(lambda: page["view"].age < page["view"].max_age)
    page["stop"].set()
    page["thread"].join(20)
    assert not page["thread"].is_alive()


async def _get(app, header) -> httpx.Response:
    transport = httpx.ASGITransport(app)
    async with httpx.AsyncClient(transport=transport, base_url="http://any") as http:
        headers = {} if header is None else {"authorization": header}
        return await http.get("/orders", headers=headers)


def _kid(header: str) -> str:
    from caracal.tokens.jws import RawToken
    from caracal.tokens.mandates import unverified_routing

    return unverified_routing(RawToken(header.partition(" ")[2].encode())).kid


def test_the_page_names_every_setting_code_and_default():
    for setting in Settings.__annotations__:
        assert f"`{setting}`" in _PAGE
    for code in Code:
        [row] = [
            line for line in _PAGE.splitlines() if line.startswith("| `") and f"`{code}`" in line
        ]
        assert f"| {NotVerified(code).status} |" in row
    rules = CacheRules()
    for name in CacheRules.__slots__:
        assert f"| `{name}` | {getattr(rules, name):g} s |" in _PAGE
    assert f"| `leeway` | {DEFAULT_LEEWAY.seconds} seconds |" in _PAGE
    assert f"| `max_hops` | {Requirements().max_hops} |" in _PAGE
    assert f"`max_age` ({DEFAULT_MAX_AGE:g} s)" in _PAGE
    assert KeyCache().rules == rules
