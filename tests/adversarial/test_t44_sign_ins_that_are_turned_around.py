"""T44: a person's sign-in for an MCP client, injected, mixed up, redirected, downgraded or begun by somebody else."""

from concurrent.futures import ThreadPoolExecutor
from urllib.parse import parse_qsl, urlencode

import httpx
import pytest

from caracal_server.sts.authorization_http import cookie_of
from tests.support.deployment import deployed
from tests.support.mcp_server import OFFERED, TICKETS, mcp_server
from tests.support.openid import openid_provider
from tests.support.running import running_caracal
from tests.support.sign_in import REDIRECT, VERIFIER, landed, signing_in
from tests.support.stock import Stock

REACH = "{},{},{}"
LOOPBACK, WEB = "http://127.0.0.1/callback", "https://app.example/done"


@pytest.fixture(scope="module")
def provider(tmp_path_factory):
    with openid_provider(tmp_path_factory.mktemp("openid")) as it:
        yield it


@pytest.fixture(scope="module")
def zone(tmp_path_factory, upstream, provider):
    data = tmp_path_factory.mktemp("t44") / "data"
    with mcp_server() as server:
        environment = {
            "CARACAL_PRIVATE_EGRESS_HOSTS": REACH.format(
                upstream.authority, server.authority, provider.authority
            ),
            "CARACAL_TLS_EXTRA_CA_FILE": str(provider.ca_file),
        }
        with (
            running_caracal(data, environment=environment) as running,
            deployed(running, upstream) as deployment,
        ):
            offered = {"kind": "mcp", "upstream": server.url, **OFFERED}
            yield Stock(deployment, server.url).zone(
                applications=[
                    {"name": "desktop", "redirect_uris": [LOOPBACK, WEB]},
                    {"name": "other", "redirect_uris": [LOOPBACK]},
                    {"name": "machine"},
                ],
                resources=[
                    {"identifier": TICKETS, "endpoint": "tickets", **offered},
                    {"identifier": "resource://other", "endpoint": "other", **offered},
                ],
                subject_issuers=[provider.sign_in],
            )
        assert "Traceback" not in running.log.read_text()


@pytest.fixture
def person(zone, provider):
    with signing_in(zone, provider, "desktop") as it:
        yield it
    provider.changes.clear()


def invalid(answer):
    assert (answer.status_code, answer.json()["error"]) == (400, "invalid_grant")


def stopped(answer):
    """Nobody is sent anywhere."""
    assert answer.status_code == 400
    assert "location" not in answer.headers
    assert "default-src 'none'; form-action 'none'" in answer.headers["content-security-policy"]


@pytest.mark.parametrize(
    "redirect",
    [
        None,
        "https://evil.example/callback",
        "http://127.0.0.1:4711/callback/more",
        "http://127.0.0.1:4711/callback?x=1",
        "http://127.0.0.1:4711/Callback",
        "http://127.0.0.1:4711@evil.example/callback",
        "http://127.0.0.1.evil.example/callback",
        "http://localhost:4711/callback",
        "http://[::1]:4711/callback",
        "https://127.0.0.1:4711/callback",
        "https://app.example/done/",
        "https://app.example:444/done",
        "https://app.example/done#x",
        "https://app.example.evil/done",
        "javascript:alert(1)",
    ],
)
def test_a_browser_is_sent_nowhere_but_where_the_client_is_registered(person, redirect):
    stopped(person.page(redirect_uri=redirect))


def test_an_unknown_client_gets_no_page(person, zone):
    for client in ("nobody", zone.ids()["machine"], "<script>"):
        answer = person.page(client_id=client)
        stopped(answer)
        assert "<script>" not in answer.text


@pytest.mark.parametrize(
    ("changes", "error"),
    [
        ({"code_challenge_method": "plain", "code_challenge": VERIFIER}, "invalid_request"),
        ({"code_challenge_method": None}, "invalid_request"),
        ({"code_challenge": None}, "invalid_request"),
        ({"response_type": "token"}, "unsupported_response_type"),
        ({"resource": None}, "invalid_target"),
        ({"resource": "https://elsewhere.example"}, "invalid_target"),
        ({"scope": "admin"}, "invalid_scope"),
        ({"request": "x"}, "request_not_supported"),
    ],
)
def test_a_weaker_request_is_told_to_the_client_and_by_whom(person, zone, changes, error):
    told = landed(person.page(**changes))
    assert (told["error"], told["iss"]) == (error, zone.issuer)
    assert told["state"] == "of the client"


def test_a_request_that_says_something_twice_is_not_believed(person):
    stopped(person.browser.get(person.request() + "&redirect_uri=https%3A%2F%2Fevil.example"))


def test_a_code_works_once_however_often_it_comes_at_once(person):
    code = person.code()
    with ThreadPoolExecutor(6) as pool:
        answers = list(pool.map(lambda _: person.redeem(code), range(6)))
    assert sorted(answer.status_code for answer in answers) == [200] + [400] * 5


def test_a_stolen_code_is_worth_nothing_without_the_verifier(person):
    for verifier in ("w" * 43, VERIFIER[:-1], "v" * 129, "é" * 43):
        invalid(person.redeem(person.code(), code_verifier=verifier))
    assert person.redeem(person.code(), code_verifier=None).json()["error"] == "invalid_request"


def test_a_code_is_bound_to_client_redirect_and_resource(person, zone):
    invalid(person.redeem(person.code(), client_id=zone.ids()["other"]))
    invalid(person.redeem(person.code(), redirect_uri="http://127.0.0.1:4712/callback"))
    invalid(person.redeem(person.code(), redirect_uri=None))
    invalid(person.redeem(person.code(), resource=zone.url.replace("tickets", "other")))
    wrong = person.redeem(person.code(), client_secret="x" * 43)
    assert wrong.json()["error"] == "invalid_client"
    invalid(person.redeem("made up", client_id=zone.ids()["machine"]))


def test_a_code_that_was_tried_wrongly_is_spent(person):
    code = person.code()
    invalid(person.redeem(code, code_verifier="w" * 43))
    invalid(person.redeem(code))


def test_scopes_are_those_that_the_person_saw(person):
    granted = person.redeem(person.code(), scope="tickets:read tickets:write").json()
    assert granted["scope"] == "tickets:read"


def test_the_pages_own_form_is_one_that_a_browser_says_the_origin_of(person):
    """Fetch: a page whose policy is `no-referrer` has its forms sent with `Origin: null`."""
    page = person.page()
    assert page.headers["referrer-policy"] == "same-origin"
    sent = person.answer(person.form(page))
    assert (sent.status_code, sent.headers["referrer-policy"]) == (303, "no-referrer")


def test_a_provider_may_send_people_on_to_where_they_sign_in(person):
    """Browsers hold every redirect that follows the form to the page's `form-action`."""
    policy = person.page().headers["content-security-policy"]
    assert "form-action 'self' https: http://127.0.0.1:4711;" in policy
    away = person.page(redirect_uri=WEB).headers["content-security-policy"]
    assert "form-action 'self' https:;" in away


def test_a_site_of_the_same_domain_can_not_plant_its_own_sign_in():
    """Browsers take a `__Host-` cookie from this very host only, and each zone has one of its own."""
    name, path, more = cookie_of("https://caracal.example/oauth/zones/shop")
    assert (name, path, more) == ("__Host-caracal-sign-in-shop", "/", "; Secure")
    assert cookie_of("https://caracal.example/oauth/zones/two")[0] != name


def test_what_a_person_saw_is_all_that_is_granted_later(person, zone):
    """A scope that the server gets while a person signs in is not one that they agreed to."""
    code = person.code(scope=None)
    resources = zone.zone.document["resources"]
    [first, *rest] = resources
    more = first | {"tools": {**first["tools"], "added": "tickets:added"}}
    zone.zone.apply(resources=[more, *rest])
    try:
        assert "tickets:added" not in person.redeem(code).json()["scope"]
        assert "tickets:added" in person.redeem(person.code(scope=None)).json()["scope"]
    finally:
        zone.zone.apply(resources=resources)


def test_another_site_can_not_agree_for_a_person(person):
    form = person.form(person.page())
    stopped(person.answer(form, headers={"origin": "https://evil.example"}))
    stopped(person.answer(form, headers={"origin": "null"}))
    with httpx.Client(trust_env=False) as attacker:
        stopped(attacker.post(f"{person.zone.issuer}/consent", data=form))
    url = f"{person.zone.issuer}/consent?ticket={form['ticket']}&issuer={form['issuer']}"
    stopped(person.browser.get(url))


def test_a_sign_in_that_somebody_else_began_does_not_end_in_this_browser(person, zone, provider):
    with signing_in(zone, provider, "desktop") as attacker:
        back = attacker.at_provider(attacker.answer(attacker.form(attacker.page())))
    person.page()
    stopped(person.browser.get(back))


def test_tickets_can_not_be_made_up_or_changed(person):
    form = person.form(person.page())
    ticket = form["ticket"]
    for forged in ("", "AAAA", ticket[:-2], "A" + ticket[1:], ticket + "AAAA"):
        stopped(person.answer(form | {"ticket": forged}))
    back = person.at_provider(person.answer(form))
    stopped(person.browser.get(back.replace("state=", "state=A")))
    unagreed = back.partition("state=")[0] + f"state={ticket}"
    stopped(person.browser.get(unagreed))


def test_one_of_several_providers_gets_no_code_of_another(person, zone, provider):
    """A provider that sends people on to another would be handed what that one answers (RFC 9700, 4.4)."""
    two = {**provider.sign_in, "issuer": "https://second.example"}
    zone.zone.apply(subject_issuers=[provider.sign_in, two])
    try:
        form = person.form(person.page()) | {"issuer": provider.url}
        back = person.at_provider(person.answer(form))
        stopped(person.browser.get(back))
        assert "code" in landed(person.browser.get(f"{back}&{urlencode({'iss': provider.url})}"))
    finally:
        zone.zone.apply(subject_issuers=[provider.sign_in])


def test_each_provider_is_told_another_nonce_and_challenge(person, zone, provider):
    """Who is chosen first learns the verifier when it is asked: it must not be that of who is chosen next."""
    two = {**provider.sign_in, "issuer": "https://second.example"}
    zone.zone.apply(subject_issuers=[provider.sign_in, two])
    try:
        form = person.form(person.page())
        sent = [
            dict(
                parse_qsl(
                    person.answer(form | {"issuer": one}).headers["location"].partition("?")[2]
                )
            )
            for one in (provider.url, two["issuer"])
        ]
    finally:
        zone.zone.apply(subject_issuers=[provider.sign_in])
    assert sent[0]["nonce"] != sent[1]["nonce"]
    assert sent[0]["code_challenge"] != sent[1]["code_challenge"]


def test_an_answer_from_another_provider_is_not_taken(person):
    back = person.at_provider(person.answer(person.form(person.page())))
    stopped(person.browser.get(back + "&iss=https%3A%2F%2Fevil.example"))


@pytest.mark.parametrize(
    "changes",
    [
        {"nonce": "of another sign-in"},
        {"nonce": None},
        {"aud": "another-app"},
        {"iss": "https://evil.example"},
        {"exp": 1000},
    ],
)
def test_an_id_token_that_does_not_answer_this_sign_in_proves_nobody(person, provider, changes):
    provider.changes.update(changes)
    back = person.at_provider(person.answer(person.form(person.page())))
    told = landed(person.browser.get(back))
    assert told["error"] == "access_denied"
    assert "nonce" not in told["error_description"]


def test_a_code_of_the_provider_that_was_injected_yields_nothing(person, zone, provider):
    """The provider holds the code to the verifier, which no browser ever had."""
    with signing_in(zone, provider, "desktop") as attacker:
        stolen = attacker.at_provider(attacker.answer(attacker.form(attacker.page())))
    mine = person.at_provider(person.answer(person.form(person.page())))
    code = stolen.partition("code=")[2].partition("&")[0]
    own = mine.partition("code=")[2].partition("&")[0]
    told = landed(person.browser.get(mine.replace(f"code={own}", f"code={code}")))
    assert told["error"] == "access_denied"


def test_a_refused_sign_in_is_on_record(person, provider, zone):
    provider.changes.update({"nonce": "other"})
    back = person.at_provider(person.answer(person.form(person.page())))
    answer = person.browser.get(back, headers={"x-request-id": "refused-sign-in"})
    landed(answer)
    entry = zone.zone.entry("refused-sign-in", "exchange")
    assert (entry["verdict"], entry["reason"]) == ("refuse", "sign_in_failed")


def test_answers_go_back_to_the_port_that_was_asked_for(person):
    assert REDIRECT.startswith("http://127.0.0.1:4711")
    assert person.code()
