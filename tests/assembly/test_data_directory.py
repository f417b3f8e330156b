"""What a deployment keeps on disk."""

import stat

from caracal_server.adapters.entropy import SystemEntropy
from caracal_server.assembly.data_directory import DataDirectory, ServerFile


def test_the_directory_and_its_files_are_for_their_owner_only(tmp_path):
    directory = DataDirectory(tmp_path / "data")
    directory.create()
    directory.log_origin(SystemEntropy())
    directory.announce(ServerFile("http://a", "http://b", "token", "data", 1))
    assert stat.S_IMODE(directory.root.stat().st_mode) == 0o700
    for file in directory.root.iterdir():
        assert stat.S_IMODE(file.stat().st_mode) == 0o600


def test_a_log_keeps_its_name_from_one_start_to_the_next(tmp_path):
    directory = DataDirectory(tmp_path)
    origin = directory.log_origin(SystemEntropy())
    assert directory.log_origin(SystemEntropy()) == origin


def test_what_was_announced_can_be_withdrawn(tmp_path):
    directory = DataDirectory(tmp_path)
    directory.announce(ServerFile("http://a", "http://b", "token", "data", 1))
    assert directory.server_file.exists()
    directory.withdraw()
    directory.withdraw()
    assert not directory.server_file.exists()


def test_the_database_is_the_one_that_was_named_or_that_a_file_says_or_embedded(tmp_path):
    directory = DataDirectory(tmp_path)
    file = tmp_path / "url"
    file.write_text("postgresql://u:p@h/two\n")
    assert directory.database("postgresql://h/one", file) == "postgresql://h/one"
    assert directory.database(None, file) == "postgresql://u:p@h/two"
    assert directory.database(None, None) == directory.database_url
