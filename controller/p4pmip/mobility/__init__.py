"""The mobility entities of RFC 5213 as machines without I/O: `lma.LocalMobilityAnchor` and `mag.MobileAccessGateway`.

Whoever drives an engine hands it what happened (`receive`, `attach`, `detach`, `handle_timer`, `installed`, `refused`)
with the time, then carries out what `effects()` returns, in order, and calls `handle_timer` at `next_timer()`::

    anchor.receive(octets, source, destination, now, utc)
    for effect in anchor.effects():
        match effect:
            case Send(octets, _, source, destination): ...
            case Install(ticket, before, after): ...  # switch and journal, then installed(ticket, now, utc) or refused
            case Journal(change): ...

What must survive a restart is in `Install.change` and `Journal.change` (see `record`), and goes back by `restore`.
"""
