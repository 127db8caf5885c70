-- A knowledge base, as far as this migration touches it (SQLite).
-- Lists are JSON text, or NULL where nobody has set one; timestamps are UTC text.

CREATE TABLE knowledge_entries (
    id           TEXT    NOT NULL PRIMARY KEY,
    content      TEXT    NOT NULL CHECK (length(content) BETWEEN 1 AND 30000),
    embedding    BLOB,  -- filled in later by a worker
    role         TEXT    NOT NULL DEFAULT 'all' CHECK (role IN ('pm', 'dev', 'qa', 'all')),
    entry_type   TEXT    NOT NULL DEFAULT 'note'
                 CHECK (entry_type IN ('note', 'decision', 'constraint', 'runbook', 'lesson')),
    story_id     TEXT,
    tags         TEXT    CHECK (tags IS NULL OR json_type(tags) = 'array'),
    verified     INTEGER NOT NULL DEFAULT 0 CHECK (verified IN (0, 1)),
    verified_at  TEXT,
    verified_by  TEXT,
    created_at   TEXT    NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%SZ', 'now')),
    updated_at   TEXT    NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%SZ', 'now')),
    archived     INTEGER NOT NULL DEFAULT 0 CHECK (archived IN (0, 1)),
    archived_at  TEXT,
    canonical_id TEXT    REFERENCES knowledge_entries (id),
    is_canonical INTEGER NOT NULL DEFAULT 1 CHECK (is_canonical IN (0, 1)),
    deleted_at   TEXT,
    deleted_by   TEXT
);

CREATE INDEX knowledge_entries_story_id ON knowledge_entries (story_id);
CREATE INDEX knowledge_entries_canonical_id ON knowledge_entries (canonical_id);

-- Deleting an entry silently empties the pointers to it, here and in adrs.
CREATE TABLE lessons_learned (
    id              TEXT NOT NULL PRIMARY KEY,
    title           TEXT NOT NULL,
    content         TEXT NOT NULL,
    category        TEXT NOT NULL DEFAULT 'other',
    what_happened   TEXT,
    why             TEXT,
    resolution      TEXT,
    source_entry_id TEXT REFERENCES knowledge_entries (id) ON DELETE SET NULL,
    source_story_id TEXT,
    tags            TEXT CHECK (tags IS NULL OR json_type(tags) = 'array'),
    created_at      TEXT NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%SZ', 'now')),
    updated_at      TEXT NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%SZ', 'now'))
);

CREATE INDEX lessons_learned_source_entry_id ON lessons_learned (source_entry_id);

CREATE TABLE adrs (
    id              TEXT NOT NULL PRIMARY KEY,
    adr_id          TEXT NOT NULL UNIQUE,
    title           TEXT NOT NULL,
    context         TEXT NOT NULL,
    decision        TEXT NOT NULL,
    consequences    TEXT,
    status          TEXT NOT NULL DEFAULT 'accepted'
                    CHECK (status IN ('proposed', 'accepted', 'deprecated', 'superseded')),
    source_entry_id TEXT REFERENCES knowledge_entries (id) ON DELETE SET NULL,
    tags            TEXT CHECK (tags IS NULL OR json_type(tags) = 'array'),
    created_at      TEXT NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%SZ', 'now')),
    updated_at      TEXT NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%SZ', 'now'))
);

CREATE INDEX adrs_source_entry_id ON adrs (source_entry_id);
