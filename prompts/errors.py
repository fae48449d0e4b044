"""The base of every error of ours, and the errors of this room.

The whole tree is drawn once, in `gemmagraph.errors`.
"""


class GemmagraphError(Exception):
    """Something went wrong that its reader can act on.

    `str()` is one line: what happened, then the hint, so that it can be shown to a person as it is.
    """

    def __init__(self, message: str, *, hint: str = "") -> None:
        super().__init__(message)
        self.message = message
        """What happened, with the value in question."""
        self.hint = hint
        """What to do next; empty when the message says it."""

    def __str__(self) -> str:
        return f"{self.message} {self.hint}" if self.hint else self.message


class NotationError(GemmagraphError):
    """A notation, turn format or family was asked for something it does not have. Read by the developer."""


class InvalidArguments(GemmagraphError):
    """The arguments of a call do not fit the tool. `message` is written for a small model: at most 240
    characters, with the argument, what it was, what is expected, and an example of a right call."""
