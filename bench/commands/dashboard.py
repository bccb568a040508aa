"""asv's dashboard of the recorded results: it asks nothing of any other place, and opens from the disk.

    .venv/bin/python -m bench.commands.dashboard [FOLDER]

asv's own page loads ten scripts from three other sites, and its data by requests that a browser refuses on `file://`.
Here the scripts are those of `vendor/`, and the data stands in a script of its own.
"""

import json
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from ..stored.suite import benchmarks
from .run_asv import ROOT, asv

VENDOR = Path(__file__).parent / "vendor"
NARROW = Path(__file__).parent / "narrow.css"
#: asv's name of a script where it is not the name of the file here.
RENAMED = {
    "jquery-3.3.1.min.js": "jquery.min.js",
    "jquery.flot.min.js": "jquery.flot.js",
    "jquery.flot.time.min.js": "jquery.flot.time.js",
    "jquery.flot.selection.min.js": "jquery.flot.selection.js",
    "jquery.flot.categories.min.js": "jquery.flot.categories.js",
}
REMOTE = re.compile(r'<(script|link)\b([^>]*?)\b(src|href)="https://[^"]*/([^"/]+)"[^>]*>')
#: In place of requests: what asv's page asks for is looked up in `data`.
ANSWER = """
jQuery.ajax = function (request) {
    var answer = jQuery.Deferred(), name = decodeURIComponent(request.url.split("?")[0]);
    setTimeout(function () {
        if (name in data) { answer.resolve(JSON.parse(data[name])); }
        else if (name === "swallow.ico") { answer.resolve(""); }
        else { answer.reject({}, "error", name); }
    }, 0);
    return answer.promise();
};
"""


def publish(target: Path, root: Path = ROOT) -> None:
    """Write the dashboard into a folder, which is replaced."""
    with tempfile.TemporaryDirectory(prefix="rnnvanish-dashboard-") as folder:
        results = Path(folder, "results")
        shutil.copytree(root / "bench/results", results, ignore=shutil.ignore_patterns("goals.json"))  # not asv's
        (results / "benchmarks.json").write_text(json.dumps({**benchmarks(root), "version": 2}), encoding="utf-8")
        asv("publish", "--no-pull", results=results, root=root)
        html = Path(f"{results}-html")
        mend(html)
        shutil.rmtree(target, ignore_errors=True)
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.move(html, target)


def mend(html: Path) -> None:
    """Make what asv has published stand for itself.

    Raises:
        SystemExit: asv's page asks for something that is not in `vendor/`.
    """
    page, data = html / "index.html", {}
    for path in sorted(html.rglob("*.json")):
        data[path.relative_to(html).as_posix()] = path.read_text(encoding="utf-8")
        path.unlink()
    shutil.rmtree(html / "graphs", ignore_errors=True)
    shutil.copytree(VENDOR, html / "vendor", ignore=shutil.ignore_patterns("package*.json", "node_modules"))
    script = f"(function () {{\nvar data = {json.dumps(data)};\n{ANSWER}}})();\n"
    (html / "data.js").write_text(script, encoding="utf-8")
    text = REMOTE.sub(_local, page.read_text(encoding="utf-8"))
    text = text.replace(
        '<script language="javascript"', '<script src="data.js"></script>\n    <script language="javascript"', 1
    )
    text = text.replace("<html>", '<html lang="en">', 1)
    phone = '<meta name="viewport" content="width=device-width, initial-scale=1">'
    text = text.replace("</head>", f"{phone}\n<style>\n{NARROW.read_text(encoding='utf-8')}</style>\n</head>", 1)
    (html / "regressions.xml").unlink(missing_ok=True)  # by asv's own rule; the site puts ours in its place
    if left := re.findall(r"<(?:script|link|img)[^>]*https?://[^>]*>", text):
        raise SystemExit(f"asv's dashboard asks for {left[0]}: bench/commands/vendor lacks it.")
    page.write_text(text, encoding="utf-8")


def _local(tag: re.Match[str]) -> str:
    name = RENAMED.get(tag[4], tag[4])
    if not (VENDOR / name).exists():
        raise SystemExit(f"asv's dashboard asks for {tag[4]}: bench/commands/vendor lacks it.")
    kind = ' rel="stylesheet"' if tag[1] == "link" else ""
    return f'<{tag[1]}{kind} {tag[3]}="vendor/{name}">'


def whole(root: Path = ROOT) -> bool:
    """Whether there is a history to draw: a repository, and not a shallow copy of it, which has none."""
    command = ["git", "-C", str(root), "rev-parse", "--is-shallow-repository"]
    said = subprocess.run(command, capture_output=True, text=True, check=False)
    return said.returncode == 0 and said.stdout.strip() == "false"


def main() -> int:
    """The command line."""
    target = Path(sys.argv[1]) if len(sys.argv) > 1 else ROOT / ".asv/html"
    if not whole():
        sys.exit("The dashboard needs the whole history: a git repository that is not a shallow clone.")
    publish(target)
    print(f"The dashboard is in {target}: open {target / 'index.html'}.")
    return 0


if __name__ == "__main__":
    sys.exit(main())
