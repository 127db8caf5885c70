-- What the database holds before the migration: load after schema.sql.

-- Three entries: one with tags, one that was never tagged, and an archived copy of the first.
INSERT INTO knowledge_entries (id, content, role, entry_type, story_id, tags, verified, verified_at,
                               verified_by, created_at, updated_at, archived, archived_at, canonical_id,
                               is_canonical) VALUES
  ('6b000000-0000-4000-8000-000000000001', 'Deposits are returned in cash, never as a credit.',
   'all', 'constraint', NULL, '["deposit","desk"]', 1, '2025-01-20T10:00:00Z', 'desk',
   '2025-01-18T09:30:00Z', '2025-01-20T10:00:00Z', 0, NULL, NULL, 1),
  ('6b000000-0000-4000-8000-000000000002', 'The stick with the weekly copy lies in the top drawer.',
   'all', 'runbook', NULL, NULL, 0, NULL,
   NULL, '2025-02-01T12:00:00Z', '2025-02-01T12:00:00Z', 0, NULL, NULL, 1),
  ('6b000000-0000-4000-8000-000000000003', 'Deposits are returned in cash.',
   'all', 'note', NULL, '[]', 0, NULL,
   NULL, '2025-01-10T08:00:00Z', '2025-01-21T08:00:00Z', 1, '2025-01-21T08:00:00Z',
   '6b000000-0000-4000-8000-000000000001', 0);

INSERT INTO lessons_learned (id, title, content, category, source_entry_id, tags, created_at, updated_at)
VALUES
  ('1e000000-0000-4000-8000-000000000001', 'Count the cash box twice',
   'Two people, two slips, one envelope.', 'process', '6b000000-0000-4000-8000-000000000001', NULL,
   '2025-01-25T17:00:00Z', '2025-01-25T17:00:00Z');

-- ADR-002 is as the log has it. ADR-003 has been superseded since, and was never tagged.
INSERT INTO adrs (id, adr_id, title, context, decision, consequences, status, source_entry_id, tags,
                  created_at, updated_at) VALUES
  ('ad000000-0000-4000-8000-000000000002', 'ADR-002', 'Cents, not amounts',
   'Late fees and deposits

Sums of 0.1 do not add up.',
   'Money is kept as whole cents.',
   '- ✅ Receipts add up
- ❌ Every page divides by 100',
   'accepted', '6b000000-0000-4000-8000-000000000001', '["money"]',
   '2025-01-22T00:00:00Z', '2025-01-23T11:15:00Z'),
  ('ad000000-0000-4000-8000-000000000003', 'ADR-003', 'No login at the desk',
   'Volunteers change every two hours

Six people share one machine on a Saturday.',
   'The desk asks for initials, not for a password.',
   '- ❌ Initials can be wrong
- Superseded when members could see their loans at home',
   'accepted', NULL, NULL,
   '2025-02-03T00:00:00Z', '2025-02-03T15:40:00Z');
