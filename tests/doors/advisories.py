#!/usr/bin/env python3
"""Pins RustSec's advisories about the packages in Cargo.lock, so that they can be looked at without a network.

    tests/doors/advisories.py CLONE_OF_RUSTSEC_ADVISORY_DB > tests/doors/advisories.toml
"""
import json
import pathlib
import re
import subprocess
import sys
import tomllib

here = pathlib.Path(__file__).parent


def git(*words):
    return subprocess.run(["git", "-C", sys.argv[1], *words], check=True, capture_output=True, text=True).stdout


def advisories(name):
    for path in git("ls-tree", "-r", "--name-only", "HEAD", f"crates/{name}").split():
        text = git("show", f"HEAD:{path}")
        front = tomllib.loads(re.search(r"```toml\n(.*?)```", text, re.S).group(1))
        if "withdrawn" not in front["advisory"]:
            title = re.search(r"^# (.*)$", text, re.M).group(1)
            yield front["advisory"]["id"], title, front.get("versions", {})


lock = tomllib.loads((here / "../../Cargo.lock").read_text())
names = sorted({package["name"] for package in lock["package"] if "source" in package})
print("# Made by advisories.py beside this file from https://github.com/RustSec/advisory-db (public domain, CC0 1.0).")
print(f'commit = "{git("rev-parse", "HEAD").strip()}"')
print(f'date = "{git("log", "-1", "--format=%cs").strip()}"')
print("# Every package of Cargo.lock that was looked for.")
print(f"looked_at = {json.dumps(names)}")
for name in names:
    for number, title, versions in sorted(advisories(name)):
        print(f"\n[[advisory]]\nid = {json.dumps(number)}\npackage = {json.dumps(name)}\ntitle = {json.dumps(title)}")
        for members in ("patched", "unaffected"):
            print(f"{members} = {json.dumps(versions.get(members, []))}")
