#!/usr/bin/env python3
"""Pins the advisories about what the page is made of, so that they can be looked at without a network.

    tests/doors/page_advisories.py CLONE_OF_RETIRE_JS > tests/doors/page_advisories.toml

GitHub's advisories are what `npm audit` answers with; Retire.js keeps those about what runs in browsers, with its own.
"""
import json
import pathlib
import re
import subprocess
import sys

SOURCE = "repository/jsrepository-master.json"
NUMBERS = re.compile(r"(\d+)(?:\.(\d+))?(?:\.(\d+))?(-[0-9A-Za-z.-]+)?")


def git(*words):
    return subprocess.run(["git", "-C", sys.argv[1], *words], check=True, capture_output=True, text=True).stdout


def version(text):
    """With all three numbers, as semver wants it; anything else than numbers is not passed over."""
    found = NUMBERS.fullmatch(text)
    if not found:
        sys.exit(f"`{text}` is no version that this script knows")
    return ".".join(part or "0" for part in found.groups()[:3]) + (found.group(4) or "")


def advisories(entry):
    for flaw in entry["vulnerabilities"]:
        names = flaw["identifiers"]
        number = names.get("githubID") or f"retire.js {names['retid']}"
        for reach in flaw["ranges"]:
            if unknown := reach.keys() - {"atOrAbove", "below"}:
                sys.exit(f"{number}: {unknown} in a range is not known to this script")
            yield number, version(reach.get("atOrAbove", "0")), version(reach["below"])


lock = json.loads((pathlib.Path(__file__).parent / "../../web/package-lock.json").read_text())["packages"]
names = sorted({folder.split("node_modules/")[-1] for folder, package in lock.items() if folder and not package.get("dev")})
known = {entry.get("npmname", name).lower(): entry for name, entry in json.loads(git("show", f"HEAD:{SOURCE}")).items()}
print("# Made by page_advisories.py beside this file: the numbers and versions in https://github.com/RetireJS/retire.js")
print(f'commit = "{git("rev-parse", "HEAD").strip()}"')
print(f'date = "{git("log", "-1", "--format=%cs").strip()}"')
print("# Production's packages in web/package-lock.json: those that the source has entries for, and those that it does not know.")
print(f"known = {json.dumps([name for name in names if name in known])}")
print(f"unknown = {json.dumps([name for name in names if name not in known])}")
for name in names:
    for number, since, below in sorted(advisories(known[name])) if name in known else ():
        print(f'\n[[advisory]]\nid = "{number}"\npackage = "{name}"\nfrom = "{since}"\nbelow = "{below}"')
