"""The two ways a person learns that something cannot be done; each message says got, allowed, try."""


class VideographError(Exception):
    """Something outside the program is wrong: an unreadable file, a missing stream. Exit code 1."""

    exit_code = 1


class UsageError(VideographError):
    """The request itself cannot be met: a bad option, an unknown name. Exit code 2."""

    exit_code = 2
