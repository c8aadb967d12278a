-- How a turn came about (docs/evidence.md). Forward only: never edit this file once it has landed, add another.

-- As what, from where and by what client somebody asked for the turn, as JSON. NULL: the turn is older than this.
ALTER TABLE turns ADD COLUMN origin TEXT;
