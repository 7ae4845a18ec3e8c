"""What the board asks of its heap, which nothing moves: no piece so large that gaps may lack it."""

import rig

MOST_BYTES = 512  # a heap whose largest gap was 1,888 bytes has been seen, with 185 kB free


def pieces(thing):
    """Bytes of each buffer and container in a value, as the chip would lay them out."""
    if isinstance(thing, (bytes, bytearray)):
        yield len(thing)
    elif type(thing).__name__ == "array":
        yield len(thing) * 4
    elif isinstance(thing, (tuple, list, dict)):
        yield len(thing) * (8 if isinstance(thing, dict) else 4)
        for value in thing.values() if isinstance(thing, dict) else thing:
            for size in pieces(value):
                yield size


def test_nothing_that_the_board_makes_at_start_needs_more_than_512_bytes_in_one_piece():
    bench = rig.Bench()
    app = bench.app()
    holders = [bench.load(name) for name in rig.FIRMWARE]
    holders += [app, app.line, app.outbox, app.reader, app.commands, app.sampler, app.thermostat]
    holders += [app.sampler.thermistor, app.sampler.thermistor.law]
    sizes = []
    for holder in holders:
        for name, value in holder.__dict__.items():
            if not name.startswith("__"):
                sizes.extend(pieces(value))
    assert len(sizes) > 50
    assert max(sizes) <= MOST_BYTES, max(sizes)
    assert sum(sizes) > 3072 + 1028  # the queue and the table are among them
