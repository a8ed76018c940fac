"""Ports that are said to be free are, and nobody else is about to take them."""

from __future__ import annotations

import socket
import subprocess
from itertools import chain

from clickstream import ports
from tests.support.processes import ROOT, python


def test_a_free_port_can_be_listened_on() -> None:
    with socket.create_server(("127.0.0.1", ports.free_port())):
        pass


def test_a_port_is_not_given_twice_even_to_processes_that_start_together() -> None:
    program = "from clickstream import ports; print(*(ports.free_port() for _ in range(50)))"
    together = [subprocess.Popen(python("-c", program), cwd=ROOT, stdout=subprocess.PIPE, text=True) for _ in range(8)]

    given = list(chain.from_iterable(process.communicate()[0].split() for process in together))

    assert len(set(given)) == len(given) == 8 * 50


def test_a_port_that_somebody_listens_on_is_passed_over() -> None:
    with socket.create_server(("127.0.0.1", ports.free_port() + 1)) as listener:
        taken = listener.getsockname()[1]

        assert ports.free_port() != taken


def test_the_next_free_port_is_really_free() -> None:
    port = ports.free_port()

    with socket.create_server(("127.0.0.1", port)):
        free = ports.next_free("127.0.0.1", port)

    assert free is not None
    assert free > port
