"""Next hops that were found, in the journal: a restarted node leaves them in its switch while it asks anew."""

from collections.abc import Iterable, Iterator
from ipaddress import ip_address

from p4pmip.forwarding.context import Context, Neighbour
from p4pmip.mobility.binding import IPAddress
from p4pmip.mobility.record import Change, Forget, Record, of, read

NEIGHBOUR_KIND = "neighbour"


def journalled_neighbours(records: Iterable[Record], context: Context) -> Iterator[Neighbour]:
    """The neighbours that a journal remembers, of links that there still are, without those of the configuration.

    Raises:
        RecordError: A row was not written by this package.
    """
    links = {link.link_id for link in context.links}
    fixed = {(neighbour.link_id, neighbour.address) for neighbour in context.neighbours}
    for record in records:
        if record.kind == NEIGHBOUR_KIND:
            neighbour = read(record, _neighbour_from)
            if neighbour.link_id in links and (neighbour.link_id, neighbour.address) not in fixed:
                yield neighbour


def _neighbour_from(record: Record) -> Neighbour:
    row = record.payload
    return Neighbour(of(int, row["link"]), ip_address(row["address"]), bytes.fromhex(row["mac"]))


def neighbour_change(link: int, address: IPAddress, mac: bytes | None) -> Change:
    """The row of a neighbour that was found, or (None) lost."""
    key = f"{link}/{address}"
    if mac is None:
        return Forget(NEIGHBOUR_KIND, key)
    return Record(NEIGHBOUR_KIND, key, {"link": link, "address": str(address), "mac": mac.hex()})
