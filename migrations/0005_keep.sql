-- What is kept and what went (docs/operations.md). Forward only: never edit this file once it has landed, add another.

-- What was taken away, held, backed up or put back, by whom and why. Only added to. The session's id, and not a reference.
CREATE TABLE keeping (
    id INTEGER PRIMARY KEY,
    time_ms INTEGER NOT NULL,
    act TEXT NOT NULL,
    session TEXT,
    by TEXT NOT NULL,
    detail TEXT NOT NULL
) STRICT;

-- Sessions of which nothing may go.
CREATE TABLE holds (
    session TEXT NOT NULL PRIMARY KEY,
    reason TEXT NOT NULL,
    by TEXT NOT NULL,
    since_ms INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
