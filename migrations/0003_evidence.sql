-- Tamper evidence (docs/evidence.md). Forward only: never edit this file once it has landed, add another.

-- Every incarnation of the log: a record's leaf says in which it was made.
CREATE TABLE epochs (
    key INTEGER PRIMARY KEY,
    id TEXT NOT NULL UNIQUE,
    since_ms INTEGER NOT NULL
) STRICT;

-- A record's salt and the commitment that stands for it in its session's tree. `epoch` is a key of `epochs`, without a
-- reference that would be looked up at every append. Records from before this are sealed at the next start.
ALTER TABLE events ADD COLUMN epoch INTEGER;
ALTER TABLE events ADD COLUMN salt BLOB;
ALTER TABLE events ADD COLUMN commitment BLOB;

-- A session's tree, as its right edge (one hash for each one in the binary form of its size), how many of its leaves there
-- are, and how many of them stand under a signed checkpoint.
ALTER TABLE sessions ADD COLUMN tree BLOB NOT NULL DEFAULT x'';
ALTER TABLE sessions ADD COLUMN tree_size INTEGER NOT NULL DEFAULT 0;
ALTER TABLE sessions ADD COLUMN signed_size INTEGER NOT NULL DEFAULT 0;

-- Signed heads of sessions' trees, in the order in which they were signed: the leaves of the gateway's own tree.
-- The session's id, and not a reference: a checkpoint outlives what it speaks of.
CREATE TABLE checkpoints (
    id INTEGER PRIMARY KEY,
    session TEXT NOT NULL,
    size INTEGER NOT NULL,
    note TEXT NOT NULL
) STRICT;

CREATE INDEX checkpoints_by_session ON checkpoints (session, size);

-- What people at this machine want redacted (`breakglass redact`), and what came of it; never the content itself.
-- `event_seq`: the `redaction` event, from when the content is gone from the log. `outcome`: NULL while it is to be done,
-- empty when all of it is done, else why not.
CREATE TABLE redactions (
    key INTEGER PRIMARY KEY,
    session INTEGER NOT NULL,
    seq INTEGER NOT NULL,
    by TEXT NOT NULL,
    reason TEXT NOT NULL,
    asked_ms INTEGER NOT NULL,
    event_seq INTEGER,
    outcome TEXT
) STRICT;

-- Signed heads of the gateway's own tree. Size 0 is the one of a gateway without any history.
CREATE TABLE heads (
    id INTEGER PRIMARY KEY,
    size INTEGER NOT NULL,
    note TEXT NOT NULL
) STRICT;
