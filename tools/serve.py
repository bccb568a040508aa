"""Serve a folder on this machine alone, and say where."""

import sys
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer


class Quiet(SimpleHTTPRequestHandler):
    """A handler that does not print every request."""

    def log_message(self, *_: object) -> None:
        """Print nothing."""


def main(folder: str, port: str = "8000") -> None:
    """Serve `folder` on 127.0.0.1; on any free port where `port` is taken."""
    handler = partial(Quiet, directory=folder)
    try:
        server = ThreadingHTTPServer(("127.0.0.1", int(port)), handler)
    except OSError:
        server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    with server:
        print(f"The site: http://127.0.0.1:{server.server_port}/   (Ctrl+C ends it)", flush=True)
        try:
            server.serve_forever()
        except KeyboardInterrupt:
            print()


if __name__ == "__main__":
    main(*sys.argv[1:])
