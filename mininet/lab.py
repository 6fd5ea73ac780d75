"""The lab of Figure 1 with a command line to play with it.

lab.py [--target softswitch|bmv2] [--executor native|interpreter] [--view ADDR:PORT]

The exit status is 1 if it does not come up, 2 for a wrong command line or a machine that lacks something.
"""

import shutil
import sys

import machine
from commandline import EXECUTORS, TARGETS, Parser, check_switch

from p4pmip.errors import P4pmipError
from p4pmip.view.server import listening_address


def main() -> int:
    """The lab with its command line."""
    parser = Parser(prog="lab", description="Figure 1 of the draft in Mininet, to play with.")
    parser.add_argument("--target", help=f"{' or '.join(TARGETS)}; default: bmv2 where it is on PATH")
    executor = f"what runs the softswitch's packets: {' or '.join(EXECUTORS)}; with one, the default target is that"
    parser.add_argument("--executor", help=executor)
    where = "where to serve the live view (default: any free port on loopback)"
    parser.add_argument(
        "--view", metavar="ADDR:PORT", nargs="?", const="127.0.0.1:0", default="127.0.0.1:0", help=where
    )
    arguments = parser.parse_args()
    default = "bmv2" if arguments.executor is None and shutil.which(machine.BMV2) else "softswitch"
    target = arguments.target or default
    check_switch(parser, target, arguments.executor)
    try:
        listening_address(arguments.view)
    except P4pmipError as error:
        parser.error(str(error))
    lacking = machine.lacks(target) or machine.lacks_room()
    if lacking is not None:
        print(f"lab: {lacking}", file=sys.stderr)
        return 2
    return play(target, arguments.executor, arguments.view)


def play(target: str, executor: str | None, view: str) -> int:
    """Start everything, and do what the person wants, until they want to end."""
    # Imported once Mininet is known to be there.
    import figure1
    from ending import Interrupted
    from mininet.log import setLogLevel
    from network import Lab
    from prompt import Prompt
    from viewing import Viewing

    setLogLevel("output")  # what commands print is below warnings
    settings = figure1.Settings(target=target, executor=executor, at=dict.fromkeys(figure1.MOBILE_NODES, "mag1"))
    lab = Lab(settings)
    try:
        with lab, Viewing(lab, view) as viewing:
            Prompt(lab, viewing.url)
    except figure1.Failure as failure:
        print(failure, file=sys.stderr)
        return 1
    except Interrupted:
        return 130
    finally:
        lab.end()
        for one in lab.left_over:
            print(f"lab: could not end {one}", file=sys.stderr)
        print(f"lab: ended; the logs and captures are in {lab.directory}", file=sys.stderr)
    return 0


if __name__ == "__main__":
    sys.exit(main())
