#!/usr/bin/env python3
"""Checks a breakglass history without breakglass: one file, Python 3.9 or later, nothing but the standard library.

    python3 verify.py BUNDLE|DATABASE --key KEY [--pinned FILE]

BUNDLE is a zip of `breakglass export --format bundle`. DATABASE is a `breakglass.db` (or a copy), or a data folder. KEY is the gateway's public key as
`breakglass key` prints it, or a file with it. FILE holds checkpoints that were kept elsewhere.

Ends with 0 when everything is proved, 1 when something was altered, 2 when something is missing or not signed yet,
3 when there is nothing to check. It shares no code with `breakglass verify`; the bytes are in docs/evidence.md.
"""

import argparse
import base64
import binascii
import datetime
import hashlib
import io
import json
import os
import re
import sqlite3
import sys
import uuid
import zipfile
import zlib

ALTERED, INCOMPLETE, NOTHING = 1, 2, 3


class Nothing(Exception):
    """There is nothing to check."""


# Ed25519 (RFC 8032, section 5.1), verification only.

P = 2**255 - 19
ORDER = 2**252 + 27742317777372353535851937790883648493
D = -121665 * pow(121666, P - 2, P) % P
ROOT_OF_MINUS_1 = pow(2, (P - 1) // 4, P)


def add(a, b):
    """Adds two points in extended coordinates (x, y, z, t)."""
    e = (a[1] - a[0]) * (b[1] - b[0]) % P
    f = (a[1] + a[0]) * (b[1] + b[0]) % P
    g = 2 * a[3] * b[3] * D % P
    h = 2 * a[2] * b[2] % P
    i, j, k, m = f - e, h - g, h + g, f + e
    return (i * j % P, k * m % P, j * k % P, i * m % P)


def multiply(scalar, point):
    result = (0, 1, 1, 0)
    while scalar:
        if scalar & 1:
            result = add(result, point)
        point = add(point, point)
        scalar >>= 1
    return result


def decompress(data):
    y = int.from_bytes(data, "little")
    sign, y = y >> 255, y & (2**255 - 1)
    if y >= P:
        return None
    x2 = (y * y - 1) * pow(D * y * y + 1, P - 2, P) % P
    x = pow(x2, (P + 3) // 8, P)
    if (x * x - x2) % P:
        x = x * ROOT_OF_MINUS_1 % P
    if (x * x - x2) % P or (x == 0 and sign):
        return None
    if x & 1 != sign:
        x = P - x
    return (x, y, 1, x * y % P)


BASE = decompress((4 * pow(5, P - 2, P) % P).to_bytes(32, "little"))


def ed25519(key, message, signature):
    if len(signature) != 64:
        return False
    a, r = decompress(key), decompress(signature[:32])
    s = int.from_bytes(signature[32:], "little")
    if a is None or r is None or s >= ORDER:
        return False
    h = int.from_bytes(hashlib.sha512(signature[:32] + key + message).digest(), "little") % ORDER
    left, right = multiply(s, BASE), add(r, multiply(h, a))
    return not ((left[0] * right[2] - right[0] * left[2]) % P or (left[1] * right[2] - right[1] * left[2]) % P)


# Trees (RFC 6962, section 2.1).


def sha256(data):
    return hashlib.sha256(data).digest()


class Tree:
    """The roots of the perfect trees that the leaves fall into, each with its size."""

    def __init__(self):
        self.parts = []
        self.size = 0

    def push(self, data):
        size, digest = 1, sha256(b"\0" + data)
        while self.parts and self.parts[-1][0] == size:
            digest = sha256(b"\1" + self.parts.pop()[1] + digest)
            size *= 2
        self.parts.append((size, digest))
        self.size += 1

    def root(self):
        if not self.parts:
            return sha256(b"")
        digest = self.parts[-1][1]
        for _, left in reversed(self.parts[:-1]):
            digest = sha256(b"\1" + left + digest)
        return digest


# Notes and checkpoints (C2SP signed-note and tlog-checkpoint).


def unbase64(text):
    """Strict: one text for one value, so that nothing can be changed without a trace."""
    data = base64.b64decode(text, validate=True)
    if base64.b64encode(data).decode() != text:
        raise ValueError("not canonical base64")
    return data


class Key:
    def __init__(self, text):
        parts = text.split("+", 2)
        try:
            data = unbase64(parts[2])
            self.name, self.id, self.public = parts[0], bytes.fromhex(parts[1]), data[1:]
        except (IndexError, ValueError, binascii.Error):
            raise Nothing("--key: not a verifier key")
        wanted = sha256(self.name.encode() + b"\n\x01" + self.public)[:4]
        if len(data) != 33 or data[0] != 1 or wanted != self.id or not self.name:
            raise Nothing("--key: not a verifier key")

    def open(self, note):
        """The note's text; raises ValueError when this key did not sign it."""
        if not isinstance(note, str) or any(c < " " and c != "\n" for c in note):
            raise ValueError("it is not a signed note")
        at = note.rfind("\n\n")
        if at < 0 or not note.endswith("\n"):
            raise ValueError("it is not a signed note")
        text, lines = note[: at + 1], note[at + 2 : -1].split("\n")
        for line in lines:
            match = re.fullmatch("— ([^ ]+) ([A-Za-z0-9+/=]+)", line)
            if not match:
                raise ValueError("it is not a signed note")
            signature = unbase64(match[2])
            if match[1] != self.name or signature[:4] != self.id:
                continue
            if ed25519(self.public, text.encode(), signature[4:]):
                return text
            raise ValueError("its signature is wrong")
        raise ValueError("it is signed by another key")

    def checkpoint(self, note):
        """(origin, size, root)"""
        lines = self.open(note).split("\n")
        if len(lines) < 4 or not re.fullmatch("0|[1-9][0-9]*", lines[1]):
            raise ValueError("it is no checkpoint")
        return lines[0], int(lines[1]), unbase64(lines[2])


def split_notes(text):
    """Notes one behind another, or one on a line with | for line ends, as in the gateway's journal."""
    notes, lines = [], []
    for line in text.split("\n"):
        if "|" in line:
            start = line.find("note=")
            line = line[start + 5 if start >= 0 else 0 : line.rindex("|") + 1]
            notes.append(line.lstrip('"').replace("|", "\n"))
            continue
        if lines and lines[-1].startswith("— ") and not line.startswith("— "):
            notes.append("\n".join(lines) + "\n")
            lines = []
        if lines or line:
            lines.append(line)
    if lines and lines[-1].startswith("— "):
        notes.append("\n".join(lines) + "\n")
    return notes


# The checks.


class Report:
    def __init__(self):
        self.findings = []
        self.sessions = self.records = self.met = self.removed = 0

    def add(self, verdict, check, session, seq, message):
        word = "ALTERED" if verdict == ALTERED else "INCOMPLETE"
        place = f" session {session}" if session else " gateway"
        place += f" seq {seq}" if seq is not None else ""
        self.findings.append((verdict, f"{word} {check}{place}: {message}"))

    def status(self):
        verdicts = [verdict for verdict, _ in self.findings]
        return ALTERED if ALTERED in verdicts else INCOMPLETE if verdicts else 0


def rfc3339(ms):
    moment = datetime.datetime(1970, 1, 1) + datetime.timedelta(milliseconds=ms)
    return moment.strftime("%Y-%m-%dT%H:%M:%S.") + f"{moment.microsecond // 1000:03d}Z"


def uuid_bytes(text):
    """Strict: `uuid.UUID` alone also reads braces, blanks and what Python takes for a number."""
    if not re.fullmatch("[0-9A-Fa-f]{8}(-[0-9A-Fa-f]{4}){3}-[0-9A-Fa-f]{12}", text):
        raise ValueError(f"`{text}` is no UUID")
    return uuid.UUID(text).bytes


def is_number(value):
    return type(value) is int and value >= 0


def check_record(report, session, found, stubs):
    seq, record, salt, commitment, columns = found
    try:
        envelope = json.loads(record)
        place = (envelope["session"], envelope["seq"])
        said = (envelope["kind"], envelope["time"])
    except (ValueError, KeyError, TypeError, RecursionError):
        return report.add(ALTERED, "record", session, seq, "it is no record")
    if salt is None:
        if envelope.get("redacted") is not True:
            return report.add(ALTERED, "record", session, seq, "its salt is gone, and it is no stub")
        stubs[seq] = sha256(record).hex()
    elif sha256(b"breakglass/record/v1\0" + salt + record) != commitment:
        return report.add(ALTERED, "record", session, seq, "it is not what was committed to")
    if place != (session, seq):
        return report.add(ALTERED, "envelope", session, seq, f"it belongs to session {place[0]} seq {place[1]}")
    if columns is not None and columns != said:
        report.add(ALTERED, "envelope", session, seq, "the columns beside it say something else")
    if salt is not None and envelope["kind"] == "redaction" and is_number(envelope.get("of")):
        if stubs.get(envelope["of"]) == envelope.get("stub_sha256"):
            stubs.pop(envelope["of"], None)


def check_session(report, session, records, expected, removed=None):
    """`records` gives (seq, record, salt, commitment, columns, epoch); `expected` is a list of (size, root, pinned).
    `removed`: the session was removed when it had so many records, and some are left."""
    report.sessions += 1
    tree, met, stubs, whole = Tree(), 0, {}, True
    records = iter(records)
    while whole:
        seq = tree.size + 1
        try:
            *found, epoch = next(records)
            ids = uuid_bytes(epoch) + uuid_bytes(session)
        except StopIteration:
            break
        except (ValueError, TypeError, AttributeError, OverflowError, KeyError, *UNREADABLE) as error:
            report.add(ALTERED, "seal", session, seq, f"the record or its seal cannot be read: {error}")
            whole = False
            break
        if found[0] != seq:
            report.add(ALTERED, "sequence", session, seq, f"record {seq} is missing, {found[0]} follows")
            whole = False
            break
        report.records += 1
        check_record(report, session, found, stubs)
        tree.push(b"breakglass/leaf/v1\0" + ids + seq.to_bytes(8, "big") + found[3])
        here = [(root, pinned) for size, root, pinned in expected if size == seq]
        wrong = [pinned for root, pinned in here if root != tree.root()]
        if wrong:
            check = "pinned" if wrong[0] else "root"
            report.add(ALTERED, check, session, met + 1, f"records {met + 1} to {seq} are not those that were signed")
            whole = False
        elif here:
            report.met += len(here)
            met = seq
    # The `redaction` that accounts for a stub may have been removed before it.
    for seq in sorted(stubs) if removed is None or tree.size >= removed else ():
        report.add(ALTERED, "redaction", session, seq, "its content is gone, and no `redaction` accounts for it")
    if removed is not None:
        left = f"{tree.size} of its {removed} records are there (again)"
        if tree.size > removed:
            message = f"it was removed at {removed} records, and others follow"
            report.add(ALTERED, "session", session, removed + 1, message)
        else:
            report.add(INCOMPLETE, "session", session, 1, f"its removal is not finished: {left}")
        return
    beyond = [(size, pinned) for size, _, pinned in expected if size > tree.size]
    if whole and beyond:
        most = max(size for size, _ in beyond)
        check = "pinned" if any(pinned for size, pinned in beyond if size == most) else "truncated"
        report.add(INCOMPLETE, check, session, tree.size + 1, f"{most} records were signed, and {tree.size} are there")
    elif whole and met < tree.size:
        report.add(INCOMPLETE, "unsigned", session, met + 1, f"records from {met + 1} stand under no checkpoint")


def check_heads(report, notes, expected):
    """`notes` gives (id, note); `expected` is a list of (size, root, pinned). How many notes stand under a head."""
    tree, covered = Tree(), 0

    def meet():
        nonlocal covered
        for size, root, pinned in expected:
            if size == tree.size and root != tree.root():
                report.add(ALTERED, "pinned" if pinned else "heads", None, size, "the checkpoints were changed")
                return False
            if size == tree.size:
                report.met += 1
                covered = size
        return True

    if not meet():
        return covered
    for number, note in notes:
        if number != tree.size + 1:
            report.add(ALTERED, "checkpoints", None, tree.size + 1, f"checkpoint {tree.size + 1} is missing")
            return covered
        tree.push(b"breakglass/head/v1\0" + note.encode())
        if not meet():
            return covered
    beyond = [(size, pinned) for size, _, pinned in expected if size > tree.size]
    if beyond:
        most = max(size for size, _ in beyond)
        check = "pinned" if any(pinned for size, pinned in beyond if size == most) else "heads"
        report.add(INCOMPLETE, check, None, tree.size + 1, f"{most} checkpoints were signed, and {tree.size} are there")
    elif not any(not pinned for _, _, pinned in expected):
        report.add(INCOMPLETE, "heads", None, None, "the gateway's own tree has no checkpoint")
    return covered


def check_removal(report, session, heads, removal, pinned, covered):
    """How many records the session had when it was removed, None if it was not. `heads` is a list of (number, size,
    root), `removal` (number, size, root) or None; `pinned`: somebody kept the note of its removal."""
    if removal is None:
        if pinned:
            report.add(INCOMPLETE, "pinned", session, 1, "its removal was signed, and nothing is known of it here")
        return None
    number, size, root = removal
    if any(at > size or other > number for other, at, _ in heads):
        message = f"it was removed at {size} records, and more was signed of it"
        report.add(ALTERED, "session", session, size + 1, message)
    elif any(at == size and other != root for _, at, other in heads):
        report.add(ALTERED, "session", session, 1, "its removal is of other records than those that were signed")
    elif number > covered:
        message = "its removal stands under no checkpoint of the gateway's own tree"
        report.add(INCOMPLETE, "session", session, 1, message)
    return size


def signed(report, key, rows, origin):
    """Of (size, note) those that the key signed for the gateway's own tree, as (size, root, False)."""
    good = []
    for size, note in rows:
        try:
            checkpoint = key.checkpoint(note)
            if checkpoint[:2] != (origin, size):
                raise ValueError(f"it is one of `{checkpoint[0]}` at {checkpoint[1]}")
            good.append((size, checkpoint[2], False))
        except ValueError as error:
            report.add(ALTERED, "signature", None, size, f"the checkpoint at {size}: {error}")
    return good


def removal_of(report, database, key, session, pinned, covered):
    """What was signed of a session, as (size, root, pinned); how many records it had when it was removed, if it was."""
    origin, gone = f"{key.name}/sessions/{session}", f"{key.name}/removed/{session}"
    heads, removal = [], None
    rows = database.execute("SELECT id, size, note FROM checkpoints WHERE session = ? ORDER BY id", (session,))
    for number, size, note in rows:
        try:
            found, at, root = key.checkpoint(note)
            if found not in (origin, gone) or at != size:
                raise ValueError(f"it is one of `{found}` at {at}")
        except ValueError as error:
            report.add(ALTERED, "signature", session, None, f"the checkpoint at {size}: {error}")
            continue
        if found == gone:
            removal = (number, size, root)
        else:
            heads.append((number, size, root))
    elsewhere = [(size, root, True) for of, size, root in pinned if of == origin]
    known = heads + [(0, size, root) for size, root, _ in elsewhere]
    kept = any(of == gone for of, _, _ in pinned)
    removed = check_removal(report, session, known, removal, kept, covered)
    return [(size, root, False) for _, size, root in heads] + elsewhere, removed


def check_database(path, key, pinned):
    report = Report()
    if os.path.isdir(path):
        path = os.path.join(path, "breakglass.db")
    mode = "mode=ro" if os.path.exists(path + "-wal") else "immutable=1"
    try:
        with open(path, "rb"):
            pass
        escaped = path.replace("%", "%25").replace("?", "%3f").replace("#", "%23")
        database = sqlite3.connect(f"file:{escaped}?{mode}", uri=True)
        database.execute("BEGIN")
        for table in ("sessions", "events", "epochs", "checkpoints", "heads"):
            database.execute(f"SELECT 1 FROM {table} LIMIT 1").fetchone()
    except (OSError, sqlite3.Error) as error:
        raise Nothing(f"`{path}` is neither a breakglass database nor a bundle: {error}")
    try:
        check_tables(report, database, key, pinned)
    except (sqlite3.Error, UnicodeError, ValueError, TypeError, OverflowError) as error:
        report.add(ALTERED, "database", None, None, f"the database cannot be read: {error}")
    return report


def check_tables(report, database, key, pinned):
    origin = f"{key.name}/heads"
    expected = signed(report, key, database.execute("SELECT size, note FROM heads ORDER BY id"), origin)
    expected += [(size, root, True) for of, size, root in pinned if of == origin]
    covered = check_heads(report, database.execute("SELECT id, note FROM checkpoints ORDER BY id"), expected)
    sessions = database.execute("SELECT id, key FROM sessions ORDER BY key").fetchall()
    for session, number in sessions:
        heads, removed = removal_of(report, database, key, session, pinned, covered)
        left = database.execute("SELECT 1 FROM events WHERE session = ? LIMIT 1", (number,)).fetchone()
        if removed is not None and left is None:
            report.removed += 1
        else:
            check_session(report, session, records(database, number), heads, removed)
    known = {session for session, _ in sessions}
    named = [row[0] for row in database.execute("SELECT DISTINCT session FROM checkpoints")]
    prefixes = (f"{key.name}/sessions/", f"{key.name}/removed/")
    for of, _, _ in pinned:
        named += [of[len(prefix) :] for prefix in prefixes if of.startswith(prefix)]
    for session in dict.fromkeys(named):
        if session in known:
            continue
        if removal_of(report, database, key, session, pinned, covered)[1] is not None:
            report.removed += 1
        else:
            report.add(INCOMPLETE, "session", session, 1, f"the session `{session}` was signed, and is not there")
    homeless = "SELECT min(seq) FROM events WHERE session NOT IN (SELECT key FROM sessions)"
    seq = database.execute(homeless).fetchone()[0]
    if seq is not None:
        report.add(ALTERED, "session", None, seq, "there are records of no session")


# Bundles.

LIST, LIST_SIGNED = "SHA256SUMS", "SHA256SUMS.note"
TEXT_BYTES_MAX, LINE_BYTES_MAX = 64 << 20, 2 << 20
UNREADABLE = (OSError, EOFError, zlib.error, zipfile.BadZipFile, NotImplementedError, RuntimeError)


def text_of(bundle, name):
    """A small file as text; None when it is not there, or cannot be read."""
    try:
        with bundle.open(name) as file:
            return file.read(TEXT_BYTES_MAX).decode()
    except (KeyError, UnicodeError, *UNREADABLE):
        return None


def hash_of(bundle, name):
    digest = hashlib.sha256()
    with bundle.open(name) as file:
        while piece := file.read(1 << 16):
            digest.update(piece)
    return digest.hexdigest()


def check_files(report, bundle, key, session):
    names = [info.filename for info in bundle.infolist()]
    if len(set(names)) != len(names):
        report.add(ALTERED, "files", None, None, "two files have one name")
    listing, note = text_of(bundle, LIST), text_of(bundle, LIST_SIGNED)
    if listing is None or note is None:
        return report.add(INCOMPLETE, "files", None, None, f"`{LIST}` or `{LIST_SIGNED}` is not there")
    try:
        digest = hashlib.sha256(listing.encode()).hexdigest()
        if not key.open(note).startswith(f"{key.name}/bundles/{session}\nsha256 {digest}\n"):
            report.add(ALTERED, "files", None, None, "the list of files is not the one that was signed")
    except ValueError as error:
        report.add(ALTERED, "signature", None, None, f"the list of files: {error}")
    listed = {LIST, LIST_SIGNED}
    for line in listing.removesuffix("\n").split("\n") if listing else ():
        digest, separator, name = line.partition("  ")
        if not separator:
            report.add(ALTERED, "files", None, None, "the list of files has a line that is none")
            continue
        listed.add(name)
        try:
            if hash_of(bundle, name) != digest:
                report.add(ALTERED, "files", None, None, f"`{name}` is not what was signed")
        except KeyError:
            report.add(INCOMPLETE, "files", None, None, f"`{name}` is not there")
        except UNREADABLE as error:
            report.add(ALTERED, "files", None, None, f"`{name}` cannot be read: {error}")
    for name in dict.fromkeys(names):
        if name not in listed:
            report.add(ALTERED, "files", None, None, f"`{name}` is not in the list")


def root_by_path(index, size, leaf, path):
    """The root of a tree of this size in which the leaf has this index and path; None when there is no such tree."""

    def climb(low, high, path):
        if high - low == 1:
            return leaf if not path else None
        if not path:
            return None
        middle = low + (1 << (high - low - 1).bit_length() - 1)
        below = climb(low, middle, path[:-1]) if index < middle else climb(middle, high, path[:-1])
        if below is None:
            return None
        return sha256(b"\1" + below + path[-1]) if index < middle else sha256(b"\1" + path[-1] + below)

    return climb(0, size, path) if index < size < 1 << 64 else None


def check_proof(report, key, proof, notes, pinned):
    """That the newest checkpoint stands in the gateway's own tree."""
    if proof is None:
        return report.add(INCOMPLETE, "heads", None, None, "there is no proof for the gateway's own tree")
    head_of, origin = proof.partition("\n\n"), f"{key.name}/heads"
    lines = head_of[0].split("\n")
    try:
        if lines[0] != "c2sp.org/tlog-proof@v1" or not head_of[1]:
            raise ValueError
        index = re.fullmatch("index (0|[1-9][0-9]{0,18})", lines[1])[1]
        path = [unbase64(line) for line in lines[2:]]
        if len(path) > 64 or any(len(digest) != 32 for digest in path):
            raise ValueError
    except (ValueError, TypeError, IndexError):
        return report.add(ALTERED, "heads", None, None, "`gateway-proof.txt` is no proof")
    try:
        found, size, root = key.checkpoint(head_of[2])
        if found != origin:
            raise ValueError(f"it is one of `{found}`")
    except ValueError as error:
        return report.add(ALTERED, "signature", None, None, f"the head: {error}")
    leaf = sha256(b"\0breakglass/head/v1\0" + notes[-1].encode()) if notes else None
    if leaf is None or root_by_path(int(index), size, leaf, path) != root:
        return report.add(ALTERED, "heads", None, int(index) + 1, "the newest checkpoint is not in the gateway's tree")
    report.met += 1
    if any((of, at) == (origin, size) and other != root for of, at, other in pinned):
        report.add(ALTERED, "pinned", None, size, "the gateway's checkpoints are not those that were signed")


def seal_lines(log, seals):
    """Records with their seals, as `check_session` takes them."""

    def line_of(file):
        line = file.readline(LINE_BYTES_MAX)
        if line and not line.endswith(b"\n"):
            raise ValueError("a line does not end")
        return line[:-1] if line else None

    while True:
        record, seal = line_of(log), line_of(seals)
        if record is None and seal is None:
            return
        if record is None or seal is None:
            raise ValueError("`log.jsonl` and `seals.jsonl` are not equally long")
        seal = json.loads(seal)
        salt = seal["salt"]
        if salt is not None and not re.fullmatch("[0-9a-f]{32}", salt):
            raise ValueError("the salt")
        if not re.fullmatch("[0-9a-f]{64}", seal["commitment"]) or type(seal["seq"]) is not int:
            raise ValueError("the commitment")
        salt = None if salt is None else bytes.fromhex(salt)
        yield seal["seq"], record, salt, bytes.fromhex(seal["commitment"]), None, seal["epoch"]


def check_bundle(path, key, pinned):
    try:
        bundle = zipfile.ZipFile(path)
        about = json.loads(bundle.read("bundle.json"))
        session = about["session"]
        if about["format"] != "breakglass-bundle/1" or str(uuid.UUID(session)) != session:
            raise ValueError("its format is another")
    except (KeyError, ValueError, TypeError, AttributeError, *UNREADABLE) as error:
        raise Nothing(f"`{path}` is neither a breakglass database nor a bundle: {error}")
    report, origin = Report(), f"{key.name}/sessions/{session}"
    check_files(report, bundle, key, session)
    notes = split_notes(text_of(bundle, "checkpoints.txt") or "")
    check_proof(report, key, text_of(bundle, "gateway-proof.txt"), notes, pinned)
    expected = []
    for note in notes:
        try:
            found, size, root = key.checkpoint(note)
            if found != origin:
                raise ValueError(f"it is one of `{found}`")
            expected.append((size, root, False))
        except ValueError as error:
            report.add(ALTERED, "signature", session, None, f"a checkpoint: {error}")
    mine = [(size, root, True) for of, size, root in pinned if of == origin]
    try:
        log, seals = bundle.open("log.jsonl"), bundle.open("seals.jsonl")
    except (KeyError, *UNREADABLE):
        log = seals = io.BytesIO()
    check_session(report, session, seal_lines(log, seals), expected + mine)
    if pinned and not mine:
        report.add(INCOMPLETE, "pinned", None, None, "none of the pinned checkpoints is of this session")
    return report


def is_zip(path):
    try:
        with open(path, "rb") as file:
            return file.read(4) == b"PK\3\4"
    except OSError:
        return False


def records(database, number):
    rows = database.execute(
        "SELECT e.seq, e.record, e.salt, e.commitment, e.kind, e.time_ms, p.id FROM events e"
        " LEFT JOIN epochs p ON p.key = e.epoch WHERE e.session = ? ORDER BY e.seq",
        (number,),
    )
    for seq, record, salt, commitment, kind, time_ms, epoch in rows:
        if (salt is not None and len(salt) != 16) or len(commitment) != 32:
            raise ValueError(f"the seal of record {seq}")
        yield seq, record.encode(), salt, commitment, (kind, rfc3339(time_ms)), epoch


def read_pinned(path, key):
    try:
        with open(path, encoding="utf-8", errors="replace") as file:
            notes = split_notes(file.read())
        pinned = [key.checkpoint(note) for note in notes]
    except (OSError, ValueError) as error:
        raise Nothing(f"--pinned: {error}")
    if not pinned:
        raise Nothing("--pinned: there is no checkpoint in it")
    return pinned


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("path", metavar="BUNDLE|DATABASE")
    parser.add_argument("--key", required=True)
    parser.add_argument("--pinned")
    asked = parser.parse_args()
    try:
        text = asked.key
        if os.path.isfile(text):
            with open(text, encoding="utf-8") as file:
                text = file.read()
        key = Key(text.strip())
        pinned = read_pinned(asked.pinned, key) if asked.pinned else []
        check = check_bundle if is_zip(asked.path) else check_database
        report = check(asked.path, key, pinned)
    except Nothing as error:
        print(error, file=sys.stderr)
        return NOTHING
    for _, line in report.findings:
        print(line)
    met = f"{report.sessions} sessions, {report.records} records, {report.met} checkpoints of `{key.name}` met"
    met += f"; {report.removed} sessions were removed by retention" if report.removed else ""
    print(("PROVED", "ALTERED", "INCOMPLETE")[report.status()] + ": " + met)
    return report.status()


if __name__ == "__main__":
    sys.exit(main())
