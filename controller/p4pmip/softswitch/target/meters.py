"""Configurations of meters, both ways (P4Runtime §9.5)."""

from p4pmip.softswitch.state import MeterConfig
from p4pmip.softswitch.target.refusal import Code, Refusal, invalid
from p4pmip.softswitch.target.stubs import p4runtime


def meter_config(place: str, given: "p4runtime.MeterConfig") -> MeterConfig:
    """A meter's configuration; the two-rate kind has no eburst (§9.5)."""
    if given.eburst:
        raise invalid(f"{place}: eburst", given.eburst, "only single-rate meters have it", [0])
    values = (given.cir, given.cburst, given.pir, given.pburst)
    if any(value < 0 for value in values) or given.pir < given.cir:
        raise invalid(
            f"{place}: meter", values, "rates must be positive and pir at least cir", ["cir cburst pir pburst"]
        )
    return MeterConfig(*values)


def no_meter_counters(place: str) -> Refusal:
    """What is said to a request that names the counters of a meter."""
    return Refusal(Code.UNIMPLEMENTED, f"{place}: meter counters", "set", "are not supported", ["unset"])


def encode_meter(config: MeterConfig, into: "p4runtime.MeterConfig") -> None:
    """The configuration of a meter."""
    into.cir, into.cburst, into.pir, into.pburst = config.cir, config.cburst, config.pir, config.pburst
