-- Doors: credentials that end, who used them last, who came, and how much of a turn was masked.

-- NULL: never. `last_used_ms` is written now and then, never while somebody waits.
ALTER TABLE tokens ADD COLUMN expires_ms INTEGER;
ALTER TABLE tokens ADD COLUMN last_used_ms INTEGER;

-- `expires_ms` is the absolute end of a sign-in; it also ends when it was not used for long.
ALTER TABLE logins ADD COLUMN last_used_ms INTEGER NOT NULL DEFAULT 0;

-- Secrets that were cut out of the turn's events so far; its `turn_end` says how many.
ALTER TABLE turns ADD COLUMN masked INTEGER NOT NULL DEFAULT 0;

-- Who came, and what they did. Never holds what anybody said.
CREATE TABLE access (
    key INTEGER PRIMARY KEY,
    time_ms INTEGER NOT NULL,
    what TEXT NOT NULL,
    who TEXT,
    role TEXT,
    how TEXT,
    address TEXT,
    client TEXT,
    session TEXT,
    turn TEXT,
    detail TEXT
) STRICT;
