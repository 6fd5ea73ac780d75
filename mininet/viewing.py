"""The live view of the lab: `p4pmip view` outside of every namespace, in front of the nodes' admin sockets."""

import subprocess
from types import TracebackType

import figure1
from network import NODES, Lab


class Viewing:
    """The page, for as long as the `with` block lasts."""

    def __init__(self, lab: Lab, address: str = "127.0.0.1:0") -> None:
        self._lab = lab
        self._address = address
        self._process: subprocess.Popen[str] | None = None
        self.url = ""

    def __enter__(self) -> "Viewing":
        sockets = [str(self._lab[name].admin) for name in NODES]
        # A session of its own: Ctrl-C in the lab's terminal is for what runs there.
        self._process = subprocess.Popen(
            [*figure1.p4pmip(), "view", "--at", self._address, *sockets],
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
            start_new_session=True, cwd=self._lab.directory,
        )  # fmt: skip
        try:
            said = self._process.stdout.readline().strip()  # type: ignore[union-attr]
            _, there, self.url = said.partition("the live view is at ")
            if not there:
                raise figure1.Failure(f"p4pmip view: {said.removeprefix('p4pmip: ')}")
        except BaseException:
            self._end()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._end()

    def _end(self) -> None:
        assert self._process is not None
        self._process.terminate()
        try:
            self._process.communicate(timeout=figure1.STOP_SECONDS)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.communicate()
