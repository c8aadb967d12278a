-- Sessions that went as a whole (docs/operations.md). Forward only: never edit this file once it has landed, add another.

-- The number of the signed note, among the checkpoints, that says that the session was removed: from then on nobody is shown it.
-- NULL: it is there. The row stays for good, and so do those of its turns, without content: neither an id nor a prompt's key is used twice.
ALTER TABLE sessions ADD COLUMN removal INTEGER;

-- Whether all of a removed session is gone: records, files, and what its rows said.
ALTER TABLE sessions ADD COLUMN cleared INTEGER NOT NULL DEFAULT 0;

CREATE INDEX sessions_removed ON sessions (removal) WHERE removal IS NOT NULL;
