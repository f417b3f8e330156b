"""Small edits of one zone at the same time: each is in it afterwards, and each was recorded first."""

import asyncio

import httpx

from tests.support.running import Running


async def test_edits_at_the_same_time_all_take_effect(caracal: Running):
    async with httpx.AsyncClient(base_url=caracal.control, headers=caracal.operator) as http:
        zone = (await http.post("/v1/zones", json={"name": "raced"})).json()["id"]
        made = await asyncio.gather(
            *(http.post(f"/v1/zones/{zone}/applications", json={"name": f"a{n}"}) for n in range(6))
        )
        assert [answer.status_code for answer in made] == [201] * 6
        listed = (await http.get(f"/v1/zones/{zone}/applications")).json()["items"]
        assert {row["name"] for row in listed} == {f"a{n}" for n in range(6)}
        recorded = (await http.get(f"/v1/zones/{zone}/admin-audit")).json()["items"]
        created = [row["detail"] for row in recorded if "application a" in row["detail"]]
        assert sorted(created) == [f"create application a{n}" for n in range(6)]


async def test_of_two_that_take_one_name_one_is_refused(caracal: Running):
    async with httpx.AsyncClient(base_url=caracal.control, headers=caracal.operator) as http:
        zone = (await http.post("/v1/zones", json={"name": "contested"})).json()["id"]
        path = f"/v1/zones/{zone}/applications"
        made = await asyncio.gather(*(http.post(path, json={"name": "one"}) for _ in range(2)))
        assert sorted(answer.status_code for answer in made) == [201, 409]
