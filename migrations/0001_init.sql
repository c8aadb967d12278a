-- The log and what commits with it. Forward only: never edit this file once it has landed, add another.

-- Facts about this database: its epoch, and counters that tell when the file went back in time.
CREATE TABLE meta (
    name TEXT NOT NULL PRIMARY KEY,
    value ANY NOT NULL
) STRICT, WITHOUT ROWID;

-- One conversation with one agent in one workspace. A title that nobody gave is taken from the first prompt. `head` is the seq of the newest event. `conversation` is what
-- the agent was told to call it, once it got going: the session's id, or another one when the agent had spoilt that.
CREATE TABLE sessions (
    key INTEGER PRIMARY KEY,
    id TEXT NOT NULL UNIQUE,
    title TEXT NOT NULL,
    title_given INTEGER NOT NULL,
    created_ms INTEGER NOT NULL,
    created_by TEXT NOT NULL,
    agent TEXT NOT NULL,
    model TEXT NOT NULL,
    started INTEGER NOT NULL DEFAULT 0,
    conversation TEXT,
    archived INTEGER NOT NULL DEFAULT 0,
    head INTEGER NOT NULL DEFAULT 0,
    last_activity_ms INTEGER NOT NULL,
    running_turn INTEGER REFERENCES turns (key),
    last_outcome TEXT
) STRICT;

CREATE INDEX sessions_by_activity ON sessions (last_activity_ms DESC, key DESC);
CREATE INDEX sessions_running ON sessions (running_turn) WHERE running_turn IS NOT NULL;

-- One run of the agent for one prompt. The key is the client's name for the prompt, kept for good; the hash tells whether
-- the same key came with another text. `spool_bytes` says how far the present attempt's output is in the log.
CREATE TABLE turns (
    key INTEGER PRIMARY KEY,
    id TEXT NOT NULL UNIQUE,
    session INTEGER NOT NULL REFERENCES sessions (key),
    prompt_key TEXT NOT NULL UNIQUE,
    prompt_sha256 BLOB NOT NULL,
    user_seq INTEGER NOT NULL,
    by TEXT NOT NULL,
    agent TEXT NOT NULL,
    model TEXT NOT NULL,
    accepted_ms INTEGER NOT NULL,
    attempt INTEGER NOT NULL DEFAULT 1,
    spool_bytes INTEGER NOT NULL DEFAULT 0,
    result_is_error INTEGER,
    cancelled_by TEXT,
    outcome TEXT,
    ended_ms INTEGER
) STRICT;

CREATE INDEX turns_unfinished ON turns (key) WHERE ended_ms IS NULL;
CREATE INDEX turns_by_session ON turns (session, key);

-- The log. `record` is what goes on the wire, verbatim; the columns beside it are for queries only.
CREATE TABLE events (
    id INTEGER PRIMARY KEY,
    session INTEGER NOT NULL REFERENCES sessions (key),
    seq INTEGER NOT NULL,
    time_ms INTEGER NOT NULL,
    turn INTEGER NOT NULL REFERENCES turns (key),
    kind TEXT NOT NULL,
    record TEXT NOT NULL,
    UNIQUE (session, seq)
) STRICT;

-- Credentials: only hashes of what people hold.
CREATE TABLE tokens (
    key INTEGER PRIMARY KEY,
    name TEXT NOT NULL,
    role TEXT NOT NULL,
    sha256 BLOB NOT NULL UNIQUE,
    created_ms INTEGER NOT NULL,
    revoked_ms INTEGER
) STRICT;

CREATE UNIQUE INDEX tokens_valid_name ON tokens (name) WHERE revoked_ms IS NULL;

-- Browsers that are signed in.
CREATE TABLE logins (
    sha256 BLOB NOT NULL PRIMARY KEY,
    token INTEGER NOT NULL REFERENCES tokens (key),
    created_ms INTEGER NOT NULL,
    expires_ms INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
