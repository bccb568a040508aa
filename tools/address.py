"""Writes the address of the repository, [tool.rnnvanish] address in pyproject.toml, wherever it stands.

    .venv/bin/python -m tools.address          # README, links of the package, citation, security, workflows
    .venv/bin/python -m tools.address --site   # prints where the site is published

Without an address the README links to the files beside it, nothing names a place on the net, and no workflow publishes.
"""

import re
import sys
from pathlib import Path

from tools.site.repository import ROOT, address, site

LINK = re.compile(r'(?<=\]\()[^)\s]+|(?<=href=")[^"]+|(?<=src=")[^"]+|(?<=srcset=")[^"]+')
ELSEWHERE = re.compile(r"[a-z]+:|#")
PICTURE = re.compile(r"\.(svg|png)$")
URLS = re.compile(r"\[project\.urls\]\n(?:[^\n]+\n)+\n")
BADGES = re.compile(r"(?<=<!-- badges -->\n).*?(?=<!-- end of badges -->)", re.DOTALL)
IN_A_CLONE = "pip install .  # in a clone of this repository\n"
ADVISORY = "on the\nrepository's page under *Security*, *Report a vulnerability*"


def apply(root: Path = ROOT) -> list[Path]:
    """Write the address into all files that say it; returns those that have changed."""
    new = address(root)
    found = re.search(r'^Repository = "(.+)"$', (root / "pyproject.toml").read_text(encoding="utf-8"), re.MULTILINE)
    old = found[1] if found else ""
    rules = {
        root / "README.md": readme,
        root / "pyproject.toml": urls,
        root / "CITATION.cff": citation,
        root / "SECURITY.md": security,
        root / "asv.conf.json": benchmarks,
        **dict.fromkeys(sorted((root / ".github/workflows").glob("*.yml")), workflow),
    }
    changed = []
    for path, rule in rules.items():
        text = path.read_text(encoding="utf-8")
        if (written := rule(text, old, new)) != text:
            path.write_text(written, encoding="utf-8")
            changed.append(path)
    return changed


def readme(text: str, old: str, new: str) -> str:
    """Badges, how to install, and links: relative without an address, whole with one."""
    text = BADGES.sub(badges(new), text)
    text = text.replace(install(old), install(new)).replace(extras(old), extras(new))
    return LINK.sub(lambda found: whole(relative(found[0], old), new), text)


def badges(known: str) -> str:
    """What is true on the day it is looked at: whether the tests of main pass, and the way to the site."""
    if not known:
        return ""
    tests = f"{known}/actions/workflows/tests.yml"
    return f"[![Tests]({tests}/badge.svg?branch=main)]({tests}) [Read the site]({site(known)})\n"


def install(known: str) -> str:
    """The lines that install it."""
    if not known:
        return IN_A_CLONE
    return f"pip install rnnvanish            # the newest release\npip install git+{known}  # as it is today\n"


def extras(known: str) -> str:
    """How the name of an extra begins."""
    return 'pip install "rnnvanish[' if known else 'pip install ".['


def relative(link: str, known: str) -> str:
    """A link to a file of the repository as one that stands beside the README; any other as it is."""
    for start in (f"{known}/blob/main/", f"{raw(known)}/main/") if known else ():
        if link.startswith(start):
            return link.removeprefix(start)
    return link


def whole(link: str, known: str) -> str:
    """A relative link with all of its address: a page to be read, or a picture to be shown."""
    if not known or ELSEWHERE.match(link):
        return link
    return f"{raw(known)}/main/{link}" if PICTURE.search(link) else f"{known}/blob/main/{link}"


def raw(known: str) -> str:
    """Where the files of a repository can be had as they are."""
    return known.replace("https://github.com/", "https://raw.githubusercontent.com/")


def urls(text: str, old: str, new: str) -> str:
    """The links that an index shows beside the package."""
    text = URLS.sub("", text)
    if not new:
        return text
    named = {
        "Homepage": site(new),
        "Repository": new,
        "Changelog": f"{new}/blob/main/CHANGELOG.md",
        "Issues": f"{new}/issues",
    }
    table = "".join(f'{name} = "{url}"\n' for name, url in named.items())
    return text.replace("[project.scripts]\n", f"[project.urls]\n{table}\n[project.scripts]\n")


def citation(text: str, old: str, new: str) -> str:
    """Where what is cited can be had."""
    text = re.sub(r"^(repository-code|url): .*\n", "", text, flags=re.MULTILINE)
    return text + (f"repository-code: {new}\nurl: {site(new)}\n" if new else "")


def security(text: str, old: str, new: str) -> str:
    """Where a weakness is reported."""
    before, after = (
        f"at\n[Report a vulnerability]({each}/security/advisories/new)" if each else ADVISORY for each in (old, new)
    )
    return text.replace(before, after)


def benchmarks(text: str, old: str, new: str) -> str:
    """Where the dashboard of airspeed velocity leads."""
    return text.replace(f'"project_url": "{old}"', f'"project_url": "{new}"')


def workflow(text: str, old: str, new: str) -> str:
    """What publishes does so from the repository alone, never from somebody's copy of it."""
    return re.sub(
        r"github\.repository == '[^']*'", f"github.repository == '{new.removeprefix('https://github.com/')}'", text
    )


if __name__ == "__main__":
    try:
        if sys.argv[1:] == ["--site"]:
            print(site(address()) or sys.exit("There is no address yet: [tool.rnnvanish] in pyproject.toml."))
        else:
            for changed in apply():
                print(changed.relative_to(ROOT))
    except ValueError as error:
        sys.exit(str(error))
