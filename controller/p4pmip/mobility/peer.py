"""What an engine remembers of one peer, beside what was configured for it."""

from p4pmip.mobility.binding import IPAddress, Tunnel
from p4pmip.mobility.config import Peer
from p4pmip.mobility.endpoint import Endpoint, Path
from p4pmip.mobility.timers import Timed


class PeerState(Timed):
    """One MAG (at an LMA) or one LMA (at a MAG); its deadline is that of its heartbeat."""

    __slots__ = (
        "__weakref__",
        "_last_tunnel",
        "alive",
        "config",
        "counter",
        "global_refused",
        "heartbeats",
        "lacks_gre_until",
        "local",
        "missing",
        "paths",
        "remote",
        "replay",
        "replay_skew",
        "revocation",
        "sequence",
        "sessions",
        "stranger",
        "tunnels",
        "user_plane",
        "waiting",
    )

    def __init__(self, config: Peer, local: Endpoint | None) -> None:
        super().__init__()
        self.config = config
        self.stranger = False
        """LMA: it is not configured, and known for as long as it has sessions (`LmaConfig.any_mag`)."""
        self.local = local
        """Our end point for messages that we start; where it sent to, once it sent something."""
        self.remote = config.endpoint
        self.sessions = 0
        self.paths: Path | None = None
        """The last one, so that sessions share it."""
        self.tunnels: dict[tuple[IPAddress, bool], Tunnel] = {}
        self._last_tunnel: Tunnel | None = None
        self.user_plane: IPAddress | None = None
        """MAG: the LMA's user-plane address, learnt (RFC 7389)."""
        self.lacks_gre_until = 0.0
        """MAG: until when it is remembered that the LMA lacks GRE (RFC 5845 §4.2)."""
        self.replay = 0
        """MAG: the last replay protection that was sent (RFC 4285 §6)."""
        self.replay_skew = 0
        """MAG: by how many seconds the LMA's clock was ahead when it refused one; those sent are adjusted by it."""
        self.heartbeats = config.heartbeat
        self.revocation = config.revocation
        self.global_refused = False
        """MAG: the LMA does not let us revoke everything (RFC 5846 §9.2)."""
        self.alive = True
        self.missing = 0
        self.waiting = False
        """A heartbeat request is not answered yet."""
        self.sequence = 0
        self.counter: int | None = None
        """Its restart counter."""

    def path(self, local: Endpoint, remote: Endpoint) -> Path:
        """The pair of signalling end points, shared among the sessions that have the same."""
        path = self.paths
        if path is not None and path.peer is remote and path.local is local:
            return path
        if path is None or path.peer != remote or path.local != local:
            path = self.paths = Path(local, remote)
        return path

    def tunnel(self, local: IPAddress, remote: IPAddress, udp: bool) -> Tunnel:
        """The tunnel to one of its end points, shared among the sessions in it."""
        tunnel = self._last_tunnel
        if tunnel is not None and tunnel.peer is remote and tunnel.local is local and tunnel.udp == udp:
            return tunnel
        tunnel = self.tunnels.get((remote, udp))
        if tunnel is None or tunnel.local != local:
            if len(self.tunnels) > 1024:  # end points come off the wire
                self.tunnels.clear()
            tunnel = self.tunnels[remote, udp] = Tunnel(local, remote, udp)
        self._last_tunnel = tunnel
        return tunnel
