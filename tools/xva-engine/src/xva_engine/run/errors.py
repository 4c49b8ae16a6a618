"""How a task can fail: one class per exit-code class of the contracts."""

import errno

_MACHINE = frozenset(
    {
        *(errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO, errno.EROFS),
        *(errno.EMFILE, errno.ENFILE, errno.EAGAIN, errno.EACCES, errno.EPERM, errno.ESTALE),
    }
)


class TaskError(Exception):
    """A task ended without a result; `exit_class` is a key of `EXIT_CODES`, the text is what a person reads."""

    exit_class = "internal"


class BadInputError(TaskError):
    """The task's spec or files are not what they should be; the same input can never succeed."""

    exit_class = "badInput"


class ModelFailureError(TaskError):
    """The engine ran, but its numbers cannot be accepted and the defect belongs to no single netting set."""

    exit_class = "modelFailure"


class EngineCrashError(TaskError):
    """The engine's process ended by a signal, an abort or without handing over its reports."""

    exit_class = "engineCrash"


class EngineMemoryError(TaskError):
    """The engine ran out of memory, or was killed as by the kernel's out-of-memory killer."""

    exit_class = "outOfMemory"


class TaskCancelledError(TaskError):
    """SIGTERM or SIGINT arrived."""

    exit_class = "cancelled"


class InfrastructureError(TaskError):
    """The machine failed the task: disk full, read-only, out of file handles. Elsewhere it may succeed."""

    exit_class = "infrastructure"


def is_infrastructure(error: OSError) -> bool:
    """Whether an operating-system error says that this machine, not the input, is at fault."""
    return error.errno in _MACHINE
