"""Proxy Mobile IPv6 with GRE keys, whose tunnels are P4."""

__version__ = "0.1.0"
