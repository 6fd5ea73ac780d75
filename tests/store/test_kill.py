"""A journal whose process is killed at any instant: what it acknowledged is there, and nothing is there in part."""

import random
import subprocess
import sys
from pathlib import Path

from p4pmip.store import Forget, Record, SqliteJournal

KEYS = 23
GROUP = 5


def changes(number: int) -> list[Record | Forget]:
    """Commit `number`: puts and deletions that the next ones overwrite, and a record that counts."""
    found: list[Record | Forget] = [Record("counter", "commits", {"number": number})]
    for step in range(GROUP):
        key = str((number * 7 + step * 3) % KEYS)
        found.append(Forget("n", key) if (number + step) % 4 == 0 else Record("n", key, {"number": number}))
    return found


def state_after(number: int) -> dict[tuple[str, str], dict[str, object]]:
    """What the journal holds after commits 0 to `number`."""
    state: dict[tuple[str, str], dict[str, object]] = {}
    for commit in range(number + 1):
        for change in changes(commit):
            if isinstance(change, Forget):
                state.pop((change.kind, change.key), None)
            else:
                state[change.kind, change.key] = change.payload
    return state


def committer(path: Path) -> None:
    """The child: go on from where the journal is, acknowledging each commit once it is made."""
    journal = SqliteJournal.open(path, "lma")
    number = max((record.payload["number"] + 1 for record in journal.load() if record.kind == "counter"), default=0)
    while True:
        journal.commit(changes(number))
        sys.stdout.write(f"{number}\n")
        sys.stdout.flush()
        number += 1


def test_acknowledged_commits_survive_being_killed(tmp_path: Path) -> None:
    path = tmp_path / "lma.db"
    randomness = random.Random(5845)
    last = -1
    for _ in range(25):
        child = subprocess.Popen([sys.executable, __file__, str(path)], stdout=subprocess.PIPE, text=True)
        assert child.stdout is not None
        for _ in range(randomness.randrange(1, 40)):
            last = int(child.stdout.readline())
        # The instant within a commit is left to chance: spin for a random part of what one takes.
        for _ in range(randomness.randrange(30_000)):
            pass
        child.kill()
        acknowledged = [int(line) for line in child.stdout.read().split()]
        last = acknowledged[-1] if acknowledged else last
        child.wait()
        child.stdout.close()
        journal = SqliteJournal.open(path, "lma")
        found = {(record.kind, record.key): record.payload for record in journal.load()}
        journal.close()
        reached = found["counter", "commits"]["number"]
        assert reached in (last, last + 1), "one commit more may have been made than was acknowledged"
        assert found == state_after(reached)


if __name__ == "__main__":
    committer(Path(sys.argv[1]))
