"""A page must give the same result everywhere, so it may use the network nowhere."""

import sys


def _refuse(event, arguments):
    if event == "socket.getaddrinfo":
        host = arguments[0]
    elif event == "socket.connect" and isinstance(arguments[1], tuple):
        host = arguments[1][0]
    else:
        return
    if host not in {None, "", "localhost", "127.0.0.1", "::1"}:
        raise PermissionError(f"pages are executed without a network, but this one asks for {host}: use data at hand")


def load_ipython_extension(shell):
    """Refuse every address but this machine's."""
    sys.addaudithook(_refuse)
