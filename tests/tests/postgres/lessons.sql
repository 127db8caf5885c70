-- The knowledge base on PostgreSQL: arrays of tags, a self reference, pointers that a delete empties.

CREATE TABLE knowledge_entries (
    id           uuid PRIMARY KEY DEFAULT gen_random_uuid(),
    content      text NOT NULL,
    embedding    real[],
    role         text NOT NULL DEFAULT 'all' CHECK (role IN ('pm', 'dev', 'qa', 'all')),
    entry_type   text NOT NULL DEFAULT 'note' CHECK (entry_type IN ('note', 'decision', 'constraint', 'runbook', 'lesson')),
    story_id     text,
    tags         text[],
    verified     boolean NOT NULL DEFAULT false,
    verified_at  timestamp,
    verified_by  text,
    created_at   timestamp NOT NULL DEFAULT now(),
    updated_at   timestamp NOT NULL DEFAULT now(),
    archived     boolean NOT NULL DEFAULT false,
    archived_at  timestamp,
    canonical_id uuid REFERENCES knowledge_entries (id),
    is_canonical boolean NOT NULL DEFAULT true,
    deleted_at   timestamptz,
    deleted_by   text
);
CREATE INDEX ON knowledge_entries (canonical_id);
CREATE INDEX ON knowledge_entries (story_id) WHERE NOT verified;

CREATE TABLE lessons_learned (
    id              uuid PRIMARY KEY DEFAULT gen_random_uuid(),
    title           varchar(200) NOT NULL,
    content         text NOT NULL,
    category        text NOT NULL DEFAULT 'other',
    what_happened   text,
    why             text,
    resolution      text,
    source_entry_id uuid REFERENCES knowledge_entries (id) ON DELETE SET NULL,
    source_story_id text,
    tags            text[],
    created_at      timestamptz NOT NULL DEFAULT now(),
    updated_at      timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX ON lessons_learned (source_entry_id);

CREATE TABLE adrs (
    id              uuid PRIMARY KEY DEFAULT gen_random_uuid(),
    adr_id          text NOT NULL UNIQUE,
    title           text NOT NULL,
    context         text NOT NULL,
    decision        text NOT NULL,
    consequences    text,
    status          text NOT NULL DEFAULT 'accepted',
    source_entry_id uuid REFERENCES knowledge_entries (id) ON DELETE SET NULL,
    tags            text[],
    created_at      timestamptz NOT NULL DEFAULT now(),
    updated_at      timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX ON adrs (source_entry_id);
