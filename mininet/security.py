"""Mobile nodes that pretend: to be another, to be a MAG, to be in a tunnel."""

import sys

import figure1
from network import Lab
from report import Report
from traffic import SERVER

_RAW = """
import socket, sys
protocol, destination, octets = int(sys.argv[1]), sys.argv[2], bytes.fromhex(sys.argv[3])
socket.socket(socket.AF_INET6, socket.SOCK_RAW, protocol).sendto(octets, (destination, 0))
"""
_MOBILITY, _GRE, _IPV4_IN_IPV6 = 135, 47, 4


def _send(lab: Lab, host: str, protocol: int, destination: str, octets: bytes) -> None:
    _, error, status = lab[host].pexec([sys.executable, "-c", _RAW, str(protocol), destination, octets.hex()])
    if status:
        raise figure1.Failure(f"{host} cannot send: {error}")


def _counted(lab: Lab, switch: str, reason: str, packets: int) -> bool:
    return lab.drops(switch).get(reason, 0) >= packets


def spoof(lab: Lab, report: Report) -> None:
    """Forged sources, signalling and tunnel packets from an access link are refused, counted, and harm nobody."""
    lab.attach("mn1", "mn2", "mn3")
    sent = len(lab.messages("lma"))
    keys = {name: lab.keys(name) for name in ("lma", "mag1")}

    victim = lab.ipv4("mn2")
    lab["mn1"].cmd(f"ip address add {victim}/32 dev mn1-eth0")
    answered = lab.ping("mn1", SERVER, 5, more=f"-I {victim}")
    report.check("nobody answers to a forged source", answered == 0, f"{answered} of 5 pings answered")
    lab["mn1"].cmd(f"ip address del {victim}/32 dev mn1-eth0")

    update = bytes.fromhex("3b01050000000001820000010000")  # a PBU as short as one can be
    _send(lab, "mn1", _MOBILITY, figure1.tunnel_address(lab.settings, 11), update)
    lab.until(lambda: _counted(lab, "mag1", "UNTRUSTED_SIGNALLING", 1), "mag1 counts the PBU of a host")
    report.check("a PBU from a host to its MAG is dropped", True, "UNTRUSTED_SIGNALLING at mag1")
    _send(lab, "mn1", _MOBILITY, figure1.tunnel_address(lab.settings, 1), update)
    lab.until(lambda: _counted(lab, "lma", "DECAPSULATED_LOCAL", 1), "the LMA counts the PBU out of a tunnel")
    report.check("a PBU through the host's own tunnel is dropped", True, "DECAPSULATED_LOCAL at lma")

    stolen = next(iter(keys["mag1"]))
    gre = bytes.fromhex("20000800") + stolen.to_bytes(4, "big") + bytes.fromhex("45000014000000004011") + bytes(10)
    _send(lab, "mn1", _GRE, figure1.tunnel_address(lab.settings, 11), gre)
    _send(lab, "mn1", _IPV4_IN_IPV6, figure1.tunnel_address(lab.settings, 11), gre[8:])
    lab.until(lambda: _counted(lab, "mag1", "UNTRUSTED_TUNNEL", 2), "mag1 counts the tunnel packets of a host")
    report.check("tunnel packets from an access link are dropped", True, "UNTRUSTED_TUNNEL at mag1")

    report.check("no node has answered anything", len(lab.messages("lma")) == sent)
    report.check("no key has changed", keys == {name: lab.keys(name) for name in keys})
    for name in ("mn1", "mn2", "mn3"):
        answered = lab.ping(name, SERVER)
        report.check(f"{name} is unharmed", answered == 5, f"{answered} of 5 pings answered")
