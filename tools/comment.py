"""Posts what a pull request made worse, as its comparison says it, as a comment that a later one replaces.

For comment.yml: RUN is the run of the workflow that compared, COMMIT what it measured; `gh` speaks with the repository's host.
What was measured is a text that somebody's code may have written: nothing of it is run, and it stands in a block of code.
"""

import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

LONGEST = 20_000
SAYING = ("WORSE ", "COULD NOT BE MEASURED ")


def gh(*arguments: str) -> str:
    """What gh says."""
    return subprocess.run(["gh", *arguments], check=True, capture_output=True, text=True).stdout


def comparison(run: str) -> str:
    """What the run says that became worse, a line each."""
    with tempfile.TemporaryDirectory() as folder:
        gh("run", "download", run, "--name", "comparison", "--dir", folder)
        text = Path(folder, "comparison.txt").read_text(encoding="utf-8", errors="replace")
    return "\n".join(line for line in text.splitlines() if line.startswith(SAYING))[:LONGEST]


def pull_request(commit: str) -> str | None:
    """The number of the open pull request that ends with a commit."""
    known = json.loads(gh("pr", "list", "--state", "open", "--limit", "500", "--json", "number,headRefOid"))
    return next((str(each["number"]) for each in known if each["headRefOid"] == commit), None)


def comment(worse: str, commit: str) -> str:
    """The comment."""
    block = "\n".join(f"    {line}" for line in worse.splitlines())  # indented: no line can end it
    return f"At {commit[:8]} this is worse than before, beyond noise (`make bench-compare` measures it again):\n\n{block}\n"


def main(run: str, commit: str) -> None:
    """Post it, where there is anything to say and somebody to say it to."""
    worse, number = comparison(run), pull_request(commit)
    if not worse or number is None:
        print("Nothing became worse." if not worse else f"No open pull request ends with {commit}.")
        return
    gh("pr", "comment", number, "--edit-last", "--create-if-none", "--body", comment(worse, commit))
    print(f"Said so at pull request {number}.")


if __name__ == "__main__":
    try:
        main(os.environ["RUN"], os.environ["COMMIT"])
    except KeyError as missing:
        sys.exit(f"{missing.args[0]} is needed: comment.yml sets it.")
    except subprocess.CalledProcessError as problem:
        sys.exit(f"{' '.join(problem.cmd[:3])} ended with {problem.returncode}: {problem.stderr}")
