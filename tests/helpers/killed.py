"""A process that is killed at a moment of one's choice."""

import contextlib
import io
import os
import signal
import traceback


def killed(function, where, name, count, after):
    """Whether a process of its own, which calls `function`, was killed before or after the call of this number.

    Of one that came to its end it prints how.
    """
    reader, writer = os.pipe()
    child = os.fork()
    if not child:
        real, calls, said = getattr(where, name), [], io.StringIO()

        def call(*args, **kwargs):
            calls.append(1)
            if len(calls) == count and not after:
                os.kill(os.getpid(), signal.SIGKILL)
            result = real(*args, **kwargs)
            if len(calls) == count:
                os.kill(os.getpid(), signal.SIGKILL)
            return result

        setattr(where, name, call)
        try:
            with contextlib.redirect_stdout(said), contextlib.redirect_stderr(said):
                result = function()
            ended = f"{name} was called {len(calls)} times; it ended with {result!r}."
        except BaseException:  # noqa: BLE001  # whatever it is, the process ends here
            ended = traceback.format_exc()
        os.write(writer, (said.getvalue() + ended)[-4000:].encode())
        os._exit(0)
    os.close(writer)
    with open(reader, encoding="utf-8", errors="replace") as told:
        print(told.read())
    return os.WIFSIGNALED(os.waitpid(child, 0)[1])
