"""The lab's command line: Mininet's, with words for what is special here."""

import signal

import figure1
from mininet.cli import CLI
from network import NODES, Lab

from p4pmip.view.model import summary
from p4pmip.wire.capture import read
from p4pmip.wire.describe import message_json

_HELP = """Everybody is in the cell of mag1. Try: dhcp mn1; mn1 ping 10.1.0.2; move mn1 mag2; bindings; tables lma;
drops mag1; captures; signalling; where; help; exit."""


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

    def do_where(self, _line: str) -> None:
        """where: the live view, logs, configurations and captures."""
        print(told(self.lab, self.view))

    def do_move(self, line: str) -> None:
        """move MN [MAG]: into the cell of a MAG, or out of every cell."""
        words = line.split()
        if not words or words[0] not in figure1.MOBILE_NODES or any(word not in figure1.MAGS for word in words[1:2]):
            print(f"move {'|'.join(figure1.MOBILE_NODES)} [{'|'.join(figure1.MAGS)}]")
            return
        self.lab.move(words[0], words[1] if len(words) > 1 else None)

    def do_dhcp(self, line: str) -> None:
        """dhcp MN: let a mobile node ask for its IPv4 home address."""
        name = line.strip()
        if name in figure1.MOBILE_NODES:
            print(self.lab.ipv4(name) if self.lab[name].dhcp() else "no answer")
        else:
            print(f"dhcp {'|'.join(figure1.MOBILE_NODES)}")

    def _nodes(self, line: str) -> list[str]:
        names = line.split() or list(NODES)
        unknown = [name for name in names if name not in NODES]
        if unknown:
            print(f"no such node: {', '.join(unknown)} (valid: {', '.join(NODES)})")
        return [] if unknown else names

    def _ask(self, line: str, command: str, by_socket: bool) -> None:
        for name in self._nodes(line):
            node = self.lab[name]
            where = ["--node", str(node.admin)] if by_socket else [node.target]
            said, error, _ = node.pexec([*figure1.p4pmip(), command, *where])
            print(f"--- {name}\n{said}{error}")

    def do_bindings(self, line: str) -> None:
        """bindings [NODE]: what the nodes have negotiated."""
        self._ask(line, "bindings", True)

    def do_tables(self, line: str) -> None:
        """tables [NODE]: what the switches hold."""
        self._ask(line, "tables", False)

    def do_drops(self, line: str) -> None:
        """drops [NODE]: why the switches dropped packets."""
        self._ask(line, "drops", False)

    def do_captures(self, _line: str) -> None:
        """captures: where the captures are."""
        for file in sorted(self.lab.captures.glob("*.pcap")):
            print(f"{file}  {len(read(file.read_bytes()).frames)} frames")

    def do_signalling(self, line: str) -> None:
        """signalling [NODE]: what the nodes have sent to each other so far."""
        for name in self._nodes(line):
            for message in self.lab.signalled(name):
                print(f"{name}: {summary(message_json(message))}")
