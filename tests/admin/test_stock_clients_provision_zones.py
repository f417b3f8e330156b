"""The published admin client, unmodified, makes and changes what is in a zone."""


def test_a_zone_is_made_renamed_listed_and_put_away(drive):
    said = drive("""
made = client.zones.create({"name": "Pied Piper"})
said["made"] = made
said["again"] = client.zones.create({"name": "Pied Piper"})["slug"]
said["renamed"] = client.zones.patch(made["id"], {"name": "Hooli"})
said["listed"] = [zone["name"] for zone in client.zones.list()]
said["dcr"] = client.zones.dcr_status(made["id"])
client.zones.delete(made["id"])
said["after"] = [zone["id"] for zone in client.zones.list()]
said["gone"] = refused(lambda: client.zones.get(made["id"]))[:2]
""")
    assert said["made"]["name"] == "Pied Piper"
    assert said["made"]["slug"] == "pied-piper"
    assert said["again"] == "pied-piper-2"
    assert said["renamed"]["id"] == said["made"]["id"]
    assert "Hooli" in said["listed"]
    assert said["dcr"]["dcr_enabled"] is False
    assert said["made"]["id"] not in said["after"]
    assert said["gone"] == [404, "zone_not_found"]


def test_an_application_shows_its_secret_once_and_rotates_it(drive):
    said = drive("""
zone = client.zones.create({"name": "apps"})["id"]
made = client.applications.create(zone, {"name": "Orders Agent", "traits": ["team:blue"]})
said["made"], said["read"] = made, client.applications.get(zone, made["id"])
said["taken"] = refused(lambda: client.applications.create(zone, {"name": "Orders Agent"}))[:2]
said["rotated"] = client.applications.rotate_secret(zone, made["id"])
said["kept"] = refused(lambda: client.applications.get_client_secret(zone, made["id"]))[:2]
said["patched"] = client.applications.patch(zone, made["id"], {"name": "Agent", "traits": []})
client.applications.delete(zone, made["id"])
said["left"] = client.applications.list(zone)
said["gone"] = refused(lambda: client.applications.get(zone, made["id"]))[:2]
""")
    assert said["made"]["client_secret"] != said["rotated"]["client_secret"]
    assert "client_secret" not in said["read"]
    assert said["read"]["name"] == "Orders Agent"
    assert said["read"]["traits"] == ["team:blue"]
    assert said["taken"] == [409, "application_name_taken"]
    assert said["kept"] == [404, "client_secret_not_stored"]
    assert said["patched"]["id"] == said["made"]["id"]
    assert said["patched"]["name"] == "Agent"
    assert said["left"] == []
    assert said["gone"] == [404, "application_not_found"]
