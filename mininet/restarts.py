"""Scenarios in which something is killed: with `kill -9`, under traffic, and started again."""

from network import Lab
from report import Report
from traffic import SERVER, start_pings

_INTERVAL = 0.02


def _killed_under_traffic(lab: Lab, report: Report, victim: str) -> None:
    """Kill a node, look at the traffic without it, start it again, and look at the keys."""
    lab.attach("mn1", "mn3")
    before = {name: lab.keys(name) for name in ("lma", "mag1")}
    # Neighbours answer for themselves: who has not been asked for yet has to wait for the controller.
    lab.until(
        lambda: lab.ping("mn1", SERVER, 1) == lab.ping("mn3", SERVER, 1) == 1, "mn1 and mn3 reach their operators"
    )
    pings = start_pings(lab, "mn1", SERVER, 250, _INTERVAL)
    program = lab[victim].node_program
    program.kill()
    answered = lab.ping("mn3", SERVER, 20)
    report.check("traffic goes on without it", answered == 20, f"{answered} of 20 pings answered")
    program.start()
    lab[victim].await_node()
    sent, lost = pings.finish()
    why = {name: {reason: count for reason, count in lab.drops(name).items() if count} for name in ("lma", "mag1")}
    report.check("traffic goes on all the time", not lost, f"{lost or 'none'} of {sent} lost; drops: {why}")
    after = {name: lab.keys(name) for name in ("lma", "mag1")}
    report.check(
        "every key is what it was", before == after, f"{len(after['lma'])} uplink, {len(after['mag1'])} downlink"
    )


def lma_restart(lab: Lab, report: Report) -> None:
    """The LMA is killed: bindings and uplink keys survive, and the next handover finds them."""
    _killed_under_traffic(lab, report, "lma")
    before = lab.keys("lma")
    lab.move("mn1", "mag2")
    lab.until(lambda: lab.ping("mn1", SERVER, 1) == 1, "mn1 reaches its operator by mag2")
    report.check("a handover keeps the uplink key", lab.keys("lma") == before)


def mag_restart(lab: Lab, report: Report) -> None:
    """A MAG is killed: what is attached stays served."""
    _killed_under_traffic(lab, report, "mag1")
    answered = lab.ping("mn1", SERVER)
    report.check("mn1 is served", answered == 5, f"{answered} of 5 pings answered")
    report.check("DHCP is served", lab["mn1"].dhcp(), lab.ipv4("mn1"))


def rekey(lab: Lab, report: Report) -> None:
    """A MAG that has lost its journal gives a node a new downlink key; the LMA keeps the uplink key."""
    lab.attach("mn1")
    before = {name: lab.keys(name) for name in ("lma", "mag1")}
    program = lab["mag1"].node_program
    program.kill()
    for file in lab["mag1"].directory.glob("journal.db*"):
        file.unlink()
    program.start()
    lab["mag1"].await_node()
    lab.until(lambda: lab.ping("mn1", SERVER, 1) == 1, "mn1 is registered again")
    after = {name: lab.keys(name) for name in ("lma", "mag1")}
    report.check("the uplink key stays", before["lma"] == after["lma"] and len(after["lma"]) == 1)
    report.check("the downlink key is another", len(after["mag1"]) == 1 and before["mag1"] != after["mag1"])
    session = [entry for entry in lab.tables("lma")["session"] if "gre_key" in entry["params"]]  # type: ignore[operator]
    used = {int(entry["params"]["gre_key"]) for entry in session}  # type: ignore[index]
    report.check("the LMA sends with the new one", used == after["mag1"])


def switch_restart(lab: Lab, report: Report) -> None:
    """The LMA's switch is killed: its node fills it again."""
    lab.attach("mn1", "mn3")
    before = lab.keys("lma")
    switch = lab["lma"]
    switch.switch_program.kill()
    switch.switch_program.start()
    switch.await_switch()
    lab.until(lambda: lab.ping("mn1", SERVER, 1) == 1, "mn1 reaches its operator again", 30)
    for name in ("mn1", "mn3"):
        answered = lab.ping(name, SERVER)
        report.check(f"{name} reaches its operator", answered == 5, f"{answered} of 5 pings answered")
    report.check("every key is what it was", lab.keys("lma") == before, f"{len(before)} keys")
