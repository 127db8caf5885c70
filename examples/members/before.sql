-- What the database holds before the migration: load after schema.sql.

INSERT INTO "MembershipStatus" ("id", "code", "label", "isActive", "sortOrder") VALUES
  ('5a000000-0000-4000-8000-000000000001', 'PROSPECT', 'Prospect',        0, 10),
  ('5a000000-0000-4000-8000-000000000002', 'NEWCOMER', 'Newcomer',        1, 20),
  ('5a000000-0000-4000-8000-000000000003', 'EXTENDED', 'Extended member', 1, 30),
  ('5a000000-0000-4000-8000-000000000004', 'ALUMNI',   'Alumni',          0, 40),
  ('5a000000-0000-4000-8000-000000000005', 'LAPSED',   'Lapsed',          0, 50);

-- Five of these six are in the export too (same e-mail). WA020 has another phone number there;
-- the other four are the same in every column that the plan fills. The sixth is not in the export.
INSERT INTO "Member" ("id", "firstName", "lastName", "email", "phone", "joinedAt",
                      "membershipStatusId", "waMembershipLevelRaw", "createdAt", "updatedAt") VALUES
  ('3e000000-0000-4000-8000-000000000001', 'Caspian', 'Thistledown', 'caspian.thistledown@example.org',
   '(805) 555-0114', '2019-07-28T07:00:00Z', '5a000000-0000-4000-8000-000000000002', 'Newcomer',
   '2023-05-02T16:20:11Z', '2023-05-02T16:20:11Z'),  -- WA003
  ('3e000000-0000-4000-8000-000000000002', 'Delphine', 'Pennywhistle', 'delphine.pennywhistle@example.org',
   '+1 805 555 0121', '2019-11-02T07:00:00Z', '5a000000-0000-4000-8000-000000000004', 'Alumni',
   '2023-05-02T16:20:12Z', '2023-11-30T09:05:00Z'),  -- WA004, in capitals there
  ('3e000000-0000-4000-8000-000000000003', 'Lorcan', 'O''Hollow', 'lorcan.ohollow@example.org',
   '(805) 555-0177', '2021-12-17T08:00:00Z', '5a000000-0000-4000-8000-000000000002', '1st Year',
   '2023-05-02T16:20:13Z', '2023-05-02T16:20:13Z'),  -- WA012, with a stray blank there
  ('3e000000-0000-4000-8000-000000000004', 'Tamsin', 'Oakapple', 'tamsin.oakapple@example.org',
   '(805) 555-0142', '2024-02-01T08:00:00Z', '5a000000-0000-4000-8000-000000000005', 'Lapsed',
   '2024-02-01T18:44:00Z', '2024-02-09T21:13:37Z'),  -- WA020, (805) 555-0133 there
  ('3e000000-0000-4000-8000-000000000005', 'Corvin', 'Yarrowby', 'corvin.yarrowby@example.org',
   '(805) 555-0196', '2021-04-10T07:00:00Z', '5a000000-0000-4000-8000-000000000001', 'Prospect',
   '2023-05-02T16:20:14Z', '2023-05-02T16:20:14Z'),  -- WA029
  ('3e000000-0000-4000-8000-000000000006', 'Oriana', 'Plumtree', 'oriana.plumtree@example.org',
   NULL, '2023-08-15T07:00:00Z', '5a000000-0000-4000-8000-000000000003', NULL,
   '2023-08-15T17:00:00Z', '2024-01-03T10:30:00Z');

-- Two events that the application made itself, with a paid registration.
INSERT INTO "Event" ("id", "title", "description", "category", "location", "startTime", "endTime",
                     "capacity", "isPublished", "status", "createdAt", "updatedAt") VALUES
  ('e7000000-0000-4000-8000-000000000001', 'Board Meeting', NULL, 'General', 'Club Room',
   '2024-03-06T02:00:00Z', '2024-03-06T04:00:00Z', NULL, 0, 'APPROVED',
   '2024-02-01T19:00:00Z', '2024-02-01T19:00:00Z'),
  ('e7000000-0000-4000-8000-000000000002', 'Knife Sharpening Class', 'Bring two knives, well wrapped.',
   'General', 'Harbor Café', '2024-04-20T17:00:00Z', '2024-04-20T19:00:00Z', 8, 1, 'PUBLISHED',
   '2024-02-20T19:00:00Z', '2024-03-01T08:15:00Z');

INSERT INTO "EventRegistration" ("id", "eventId", "memberId", "status", "registeredAt", "cancelledAt",
                                 "createdAt", "updatedAt") VALUES
  ('4e000000-0000-4000-8000-000000000001', 'e7000000-0000-4000-8000-000000000002',
   '3e000000-0000-4000-8000-000000000006', 'CONFIRMED', '2024-03-02T20:11:05Z', NULL,
   '2024-03-02T20:11:05Z', '2024-03-02T20:11:09Z');

INSERT INTO "PaymentIntent" ("id", "registrationId", "idempotencyKey", "amountCents", "createdAt") VALUES
  ('9a000000-0000-4000-8000-000000000001', '4e000000-0000-4000-8000-000000000001',
   'knife-class-oriana', 2500, '2024-03-02T20:11:07Z');
