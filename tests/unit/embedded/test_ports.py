from __future__ import annotations

import socket
from pathlib import Path

import pytest

from clarion.adapters.embedded import DataDirectory, Ports


@pytest.fixture
def directory(tmp_path: Path) -> DataDirectory:
    return DataDirectory.open(tmp_path / "data")


def test_a_restart_gets_the_same_ports(directory: DataDirectory):
    first = {name: Ports(directory).choose(name) for name in ("postgres", "valkey", "api")}

    again = {name: Ports(directory).choose(name) for name in ("api", "valkey", "postgres")}

    assert again == first
    assert len(set(first.values())) == 3


def test_a_port_that_is_taken_meanwhile_is_replaced_for_good(directory: DataDirectory):
    first = Ports(directory).choose("postgres")
    with socket.socket() as squatter:
        squatter.bind(("127.0.0.1", first))
        squatter.listen()
        second = Ports(directory).choose("postgres")

    assert second != first
    assert Ports(directory).choose("postgres") == second


def test_connections_of_the_last_run_do_not_block_its_port(directory: DataDirectory):
    port = Ports(directory).choose("api")
    with socket.create_server(("127.0.0.1", port)) as server, socket.create_connection(("127.0.0.1", port)):
        server.accept()[0].close()  # closed here first: this side stays in TIME_WAIT

    assert Ports(directory).choose("api") == port


def test_ports_lie_where_no_outgoing_connection_takes_them(directory: DataDirectory):
    first_ephemeral = int(Path("/proc/sys/net/ipv4/ip_local_port_range").read_text().split()[0])
    if first_ephemeral < 21_000:
        pytest.skip("this machine uses nearly all ports for outgoing connections")

    assert Ports(directory).choose("postgres") < first_ephemeral


def test_a_port_that_the_user_chose_is_remembered(directory: DataDirectory):
    Ports(directory).keep("api", 8080)

    assert Ports(directory).known() == {"api": 8080}


def test_a_damaged_file_counts_as_none(directory: DataDirectory):
    directory.ports.write_text("{")

    assert Ports(directory).known() == {}
    assert Ports(directory).choose("api")
