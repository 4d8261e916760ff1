"""Deliveries under fault: receivers that are down, slow, failing or full, and a node that is killed in between.

Every event is delivered, and none again to a receiver whose 200 the node lived to note: whatever comes twice has the
name under which it came first, and there are no more of those than deaths. The long form kills a hundred times.
"""

from __future__ import annotations

import os
import random
import signal
import time
from pathlib import Path

import pytest

from bench.serving import Served
from tests.fabric.subscription.receiver import Receiver

from .delivered import ENVIRONMENT, Capturing, Mood, logged, require_delivered, subscribe
from .served import births, kill, survivors

SLICE_KILLS = 1
SOAK_KILLS = int(os.environ.get("LOOMARK_DELIVERY_KILLS", "100"))
_MEMBERS = {"members": [{"id": "farm", "name": "Farm", "parties": []}]}


def test_every_event_is_delivered_and_none_twice_whatever_fails(
    tmp_path: Path, seed: int, capsys: pytest.CaptureFixture[str]
) -> None:
    told = _kills(tmp_path, seed, SLICE_KILLS)
    with capsys.disabled():
        print(told)


@pytest.mark.soak
@pytest.mark.timeout(7200)
def test_every_event_is_delivered_over_many_deaths(
    tmp_path: Path, seed: int, capsys: pytest.CaptureFixture[str]
) -> None:
    told = _kills(tmp_path, seed, SOAK_KILLS)
    with capsys.disabled():
        print(told)


def _wait_for_more(receiver: Receiver, deliveries: int) -> None:
    """However slow the machine is, every life delivers something."""
    least = len(receiver.heard) + deliveries
    receiver.wait_for(lambda heard: len(heard) >= least)


def _kills(folder: Path, seed: int, kills: int) -> str:
    chance = random.Random(seed)
    moods = [Mood(seed + number, most) for number, most in enumerate((10_000, 10_000, 5))]
    well, down, small = receivers = [Receiver(mood) for mood in moods]
    nodes: list[Served] = []
    key = ""
    with well, small:
        down.__enter__()
        for number in range(kills + 1):
            node = Served(folder / "node", environment=ENVIRONMENT)
            with node:
                if not number:
                    key = node.admit(_MEMBERS)["farm"]
                    subscribe(node, key, receivers)
                    capturing = Capturing(nodes, key, seed)
                    capturing.__enter__()
                nodes[:] = [node]
                _wait_for_more(well, chance.randint(1, 8))
                # Away for a part of every life, at the address that it had.
                down.__exit__(None, None, None)
                _wait_for_more(well, chance.randint(1, 3))
                down.__enter__()
                _wait_for_more(down, 1)
                time.sleep(chance.uniform(0.0, 0.2))
                if number < kills:
                    tree = births(node.process.pid)
                    kill(tree[:1])
                    assert node.process.wait(20) == -signal.SIGKILL
                    assert survivors(tree) == []
                    continue
                capturing.__exit__()
                for mood in moods:
                    mood.is_troubled = False
                wanted = logged(node, key, capturing.events)
                repeated = [require_delivered(one, wanted, kills) for one in receivers]
                with node.client(key) as http:
                    metrics = http.get("/metrics").text
                assert "loomark_subscriptions_dead 0.0" in metrics
        down.__exit__(None, None, None)
    answers = {str(status): count for mood in moods for status, count in mood.answers.items()}
    return f"\n  {len(wanted)} events to 3 receivers over {kills} deaths; repeated under their names: {repeated}; {answers}"
