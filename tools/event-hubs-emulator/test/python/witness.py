"""What azure-eventhub sees: `witness.py <scenario> <connection string> <hub>` prints one JSON document."""

import asyncio
import json
import logging
import sys
import threading
import time
from datetime import timedelta

from azure.eventhub import EventData, EventHubConsumerClient, EventHubProducerClient
from azure.eventhub._buffered_producer._partition_resolver import generate_hash_code
from azure.eventhub._utils import get_last_enqueued_event_properties
from azure.eventhub.aio import EventHubConsumerClient as AsyncConsumerClient

logging.disable(logging.CRITICAL)
scenario, connection, hub = sys.argv[1:4]
GROUP = "$Default"
QUICK = {"retry_total": 0, "retry_backoff_factor": 0.05}


def producer(name=hub, text=connection, **options):
    return EventHubProducerClient.from_connection_string(text, eventhub_name=name, **{**QUICK, **options})


def consumer(group=GROUP, **options):
    # Its `close` waits for one interval.
    every = {"load_balancing_interval": 0.2}
    return EventHubConsumerClient.from_connection_string(connection, group, eventhub_name=hub, **{**QUICK, **every, **options})


def receive(count, partition="0", seconds=20, **options):
    """Reads `count` events of one partition; gives them, or the error's name."""
    events, errors, client = [], [], consumer()

    def on_event(_context, event):
        if event is not None:
            events.append(event)
        if len(events) >= count:
            client.close()

    def on_error(_context, error):
        errors.append(error)
        client.close()

    timer = threading.Timer(seconds, client.close)
    timer.start()
    client.receive(on_event, on_error=on_error, partition_id=partition, **options)
    timer.cancel()
    client.close()
    return [f"{type(error).__name__}: {error}" for error in errors] if errors else events


def bodies(events):
    return [event if isinstance(event, str) else event.body_as_str() for event in events]


def caught(work):
    try:
        work()
        return "no error"
    except Exception as error:  # noqa: BLE001
        return f"{type(error).__name__}: {error}"


def basics():
    with producer() as client:
        properties = client.get_eventhub_properties()
        batch = client.create_batch(partition_id="0")
        for index in range(3):
            event = EventData(f"batch {index}")
            event.properties = {"n": index, b"b": b"x"}
            event.message_id = f"m{index}"
            batch.add(event)
        client.send_batch(batch)
        client.send_event(EventData(b"\x00\xff"), partition_id="0")
        last = client.get_partition_properties("0")
    events = receive(4, starting_position="-1", track_last_enqueued_event_properties=True)
    first, binary = events[0], events[3]
    tracked = get_last_enqueued_event_properties(first)
    return {
        "properties": {"name": properties["eventhub_name"], "ids": properties["partition_ids"]},
        "last": {"sequence": last["last_enqueued_sequence_number"], "empty": last["is_empty"]},
        "bodies": bodies(events[:3]),
        "binary": list(b"".join(binary.body)),
        "first": {
            "id": first.message_id,
            "sequence": first.sequence_number,
            "offset": first.offset,
            "properties": {(key.decode() if isinstance(key, bytes) else key): str(value) for key, value in first.properties.items()},
        },
        "tracked": tracked and tracked["sequence_number"],
    }


def positions():
    with producer() as client:
        for index in range(5):
            client.send_event(EventData(f"event {index}"), partition_id="0")
            time.sleep(0.02)
    all_events = receive(5, starting_position="-1")
    third = all_events[2]
    found = {
        "sequence": bodies(receive(2, starting_position=third.sequence_number)),
        "sequence inclusive": bodies(receive(3, starting_position=third.sequence_number, starting_position_inclusive=True)),
        "offset": bodies(receive(2, starting_position=third.offset)),
        "offset inclusive": bodies(receive(3, starting_position=third.offset, starting_position_inclusive=True)),
        "time": bodies(receive(3, starting_position=third.enqueued_time - timedelta(milliseconds=1))),
        "past the end": bodies(receive(1, starting_position=1000)),
    }
    return found


def keys():
    names = [f"book-{index}-{'x' * index}" for index in range(26)]
    client = producer(buffered_mode=True, on_success=lambda *_: None, on_error=lambda *_: None, max_wait_time=0.1)
    for name in names:
        client.send_event(EventData(f"buffered {name}"), partition_key=name)
    client.flush()
    client.close()
    with producer() as plain:
        for name in names:
            plain.send_batch([EventData(f"plain {name}")], partition_key=name)
        ids = plain.get_partition_ids()
        counts = {each: plain.get_partition_properties(each)["last_enqueued_sequence_number"] + 1 for each in ids}
    placed = {}
    for each in ids:
        for event in receive(counts[each], partition=each, starting_position="-1") if counts[each] else []:
            placed[event.body_as_str()] = each
    return {"placed": placed, "hashes": {name: generate_hash_code(name) for name in names}}


def levels():
    """A reader with owner level 1, then one with 2: the first is thrown out; a third without level is refused."""
    seen = {}

    def run(name, level):
        client = consumer()

        def on_error(_context, error):
            seen[name] = f"{type(error).__name__}: {error}"
            client.close()

        thread = threading.Thread(
            target=client.receive,
            args=(lambda *_: None,),
            kwargs={"on_error": on_error, "partition_id": "0", "starting_position": "-1", "owner_level": level},
            daemon=True,
        )
        thread.start()
        return client

    first = run("first", 1)
    time.sleep(1)
    second = run("second", 2)
    deadline = time.time() + 15
    while "first" not in seen and time.time() < deadline:
        time.sleep(0.05)
    third = run("third", None)
    while "third" not in seen and time.time() < deadline:
        time.sleep(0.05)
    for client in (first, second, third):
        client.close()
    return seen


def errors():
    wrong = connection.replace("SAS_KEY_VALUE", "guess")
    with producer() as client:
        return {
            "oversize": caught(lambda: client.send_batch([EventData("x" * 1_100_000)], partition_id="0")),
            "busy": caught(lambda: client.send_batch([EventData("busy")], partition_id="1")),
            "then not": caught(lambda: client.send_batch([EventData("not busy")], partition_id="1")),
            "no such hub": caught(lambda: producer("nowhere").send_batch([EventData("x")])),
            "wrong key": caught(lambda: producer(text=wrong).send_batch([EventData("x")])),
        }


def asynchronous():
    with producer() as client:
        batch = client.create_batch(partition_id="0")
        for index in range(500):
            batch.add(EventData(str(index)))
        for _ in range(6):
            client.send_batch(batch)

    async def read():
        events = []
        client = AsyncConsumerClient.from_connection_string(connection, GROUP, eventhub_name=hub, load_balancing_interval=0.2, **QUICK)

        async def on_batch(_context, batch):
            events.extend(event.sequence_number for event in batch)
            if len(events) >= 3000:
                await client.close()

        await asyncio.wait_for(
            client.receive_batch(on_batch, partition_id="0", starting_position="-1", max_batch_size=300), 40
        )
        return events

    numbers = asyncio.run(read())
    return {"count": len(numbers), "in order": numbers == list(range(len(numbers)))}


print(json.dumps(globals()[scenario]()))
