"""The lab's command line: Mininet's, with words for what is special here."""

import signal

import figure1
from mininet.cli import CLI
from network import NODES, Lab

from p4pmip.p4runtime.pipeline import Pipeline
from p4pmip.view.model import summary
from p4pmip.wire.capture import read
from p4pmip.wire.describe import message_json

_HELP = """Everybody is in the cell of mag1. Try: dhcp mn1; mn1 ping 10.1.0.2; move mn1 mag2; bindings; tables lma;
drops mag1; captures; signalling; where; help; exit."""

_NO_TESTS = (
    "no meaning here: Mininet does not know these hosts' addresses, and realms are apart; try: mn1 ping 10.1.0.2"
)


def told(lab: Lab, view: str) -> str:
    """Where everything is."""
    return "\n".join(
        (
            f"Figure 1 on {lab.settings.target} ({', '.join(sorted(lab.executors()))}). The live view is at {view}",
            f"In {lab.directory}, per switch ({', '.join(NODES)}):",
            "  logs/switch.log, logs/node.log; logs/p4runtime.log: every P4Runtime request; node.toml; pcaps/",
            "and in captures/INTERFACE.pcap what arrives at each interface.",
        )
    )


class Prompt(CLI):  # type: ignore[misc]
    """Mininet's command line with the words of the lab; it returns when the person wants to end."""

    prompt = "p4pmip-lab> "

    def __init__(self, lab: Lab, view: str) -> None:
        self.lab = lab
        self.view = view
        print(f"{told(lab, view)}\n{_HELP}", flush=True)
        # Here Ctrl-C ends what a host is doing, and not the lab.
        before = signal.signal(signal.SIGINT, signal.default_int_handler)
        try:
            super().__init__(lab.net)
        finally:
            signal.signal(signal.SIGINT, before)

    def do_where(self, line: str) -> None:
        """where: the live view, logs, configurations and captures."""
        print("usage: where" if line.strip() else told(self.lab, self.view))

    def do_move(self, line: str) -> None:
        """move MN [MAG]: into the cell of a MAG, or out of every cell."""
        match line.split():
            case [mn] if mn in figure1.MOBILE_NODES:
                self.lab.move(mn, None)
                print(f"{mn} is out of every cell")
            case [mn, mag] if mn in figure1.MOBILE_NODES and mag in figure1.MAGS:
                self.lab.move(mn, mag)
                print(f"{mn} is in the cell of {mag}")
            case _:
                print(f"usage: move {'|'.join(figure1.MOBILE_NODES)} [{'|'.join(figure1.MAGS)}]")

    def do_dhcp(self, line: str) -> None:
        """dhcp MN: let a mobile node ask for its IPv4 home address."""
        name = line.strip()
        if name in figure1.MOBILE_NODES:
            print(self.lab.ipv4(name) if self.lab[name].dhcp() else "no answer")
        else:
            print(f"usage: dhcp {'|'.join(figure1.MOBILE_NODES)}")

    def _nodes(self, words: list[str]) -> list[str]:
        """The nodes that were named, or all; none, and that is said, if one is no node."""
        unknown = [word for word in words if word not in NODES]
        if unknown:
            print(f"no such node: {', '.join(unknown)} (valid: {', '.join(NODES)})")
        return [] if unknown else words or list(NODES)

    def _ask(self, name: str, command: str, *words: str) -> None:
        node = self.lab[name]
        said, error, _ = node.pexec([*figure1.p4pmip(), command, *words])
        print(f"--- {name}\n{said}{error}")

    def do_bindings(self, line: str) -> None:
        """bindings [NODE...]: what the nodes have negotiated."""
        for name in self._nodes(line.split()):
            self._ask(name, "bindings", "--node", str(self.lab[name].admin))

    def do_tables(self, line: str) -> None:
        """tables [NODE...] [TABLE...]: what the switches hold."""
        words, known = line.split(), Pipeline.packaged().schema.tables
        tables = [word for word in words if word in known]
        unknown = [word for word in words if word not in known and word not in NODES]
        if unknown:
            valid = f"(valid: {', '.join(NODES)}; {', '.join(known)})"
            print(f"no such node or table: {', '.join(unknown)} {valid}")
            return
        for name in [word for word in words if word in NODES] or NODES:
            for table in tables or [None]:
                self._ask(name, "tables", self.lab[name].target, *([] if table is None else [table]))

    def do_drops(self, line: str) -> None:
        """drops [NODE...]: why the switches dropped packets."""
        for name in self._nodes(line.split()):
            self._ask(name, "drops", self.lab[name].target)

    def do_captures(self, line: str) -> None:
        """captures: where the captures are."""
        if line.strip():
            print("usage: captures")
            return
        for file in sorted(self.lab.captures.glob("*.pcap")):
            print(f"{file}  {len(read(file.read_bytes()).frames)} frames")

    def do_signalling(self, line: str) -> None:
        """signalling [NODE...]: what the nodes have sent to each other so far."""
        for name in self._nodes(line.split()):
            for message in self.lab.signalled(name):
                print(f"{name}: {summary(message_json(message))}")

    def do_pingall(self, _line: str) -> None:
        """Mininet's tests between all or two hosts have no meaning here; try: mn1 ping 10.1.0.2"""
        print(_NO_TESTS)

    do_pingallfull = do_pingpair = do_pingpairfull = do_iperf = do_iperfudp = do_pingall
