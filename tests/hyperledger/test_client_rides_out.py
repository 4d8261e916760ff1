"""One client through the deaths of everything it leans on, on a real network of its own."""

from __future__ import annotations

import threading
from collections.abc import Callable

import pytest

from compose.network import Network
from ledger.hyperledger.connection import load_profile
from tests.hyperledger.consortium import TWO, Consortium

DOWN_S = 2


@pytest.mark.soak
def test_submissions_and_events_outlive_every_process_that_is_killed(
    network_of: Callable[..., Network],
) -> None:
    network = network_of()
    consortium = Consortium(
        "real", lambda msp, admin: load_profile(network.profile(int(msp[3]), admin=admin))
    )
    with consortium.closing():
        [log] = consortium.logs()
        channel, stop, heard = consortium.channel(), threading.Event(), []

        def listen() -> None:
            for event in channel.events(None, stop=stop):
                heard.append(event.payload["size"])
                if event.payload["size"] == 5:
                    return

        listener = threading.Thread(target=listen)
        listener.start()
        done = channel.submit(log.note(1), [])
        for size, name in enumerate(("peer1", "orderer1", "chaincode1", "peer2"), 2):
            network.stop(name, kill=True)
            back = threading.Timer(DOWN_S, network.up)
            back.start()
            # One call: what the network cannot do for a while is waited for inside it.
            done = channel.submit(log.note(size), log.proof(size - 1, size))
            back.join()
        listener.join(60)
        stop.set()
        assert heard == [1, 2, 3, 4, 5]
        consortium.settle(done)
        assert [each.size for each in consortium.channel(TWO).history(log.origin)] == [1, 2, 3, 4, 5]
