"""The one root of every exception that p4pmip raises on purpose."""

from collections.abc import Iterable


class P4pmipError(Exception):
    """Something a person or a caller gave cannot be used.

    Attributes:
        place: Where it was found: a file and key, an option, a table field.
        value: What was found there; None if nothing was, and then it is not said.
        choices: What would have been right, if it can be listed.
    """

    def __init__(self, place: str, value: object, problem: str, choices: Iterable[object] = ()) -> None:
        self.place = place
        self.value = value
        self.problem = problem
        self.choices = tuple(choices)
        super().__init__(place, value, problem, self.choices)

    def __str__(self) -> str:
        text = f"{self.place}: {self.problem}" + (f": {self.value!r}" if self.value is not None else "")
        if self.choices:
            text += f" (valid: {', '.join(str(choice) for choice in self.choices)})"
        return text
