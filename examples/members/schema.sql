-- The club's application, as far as this migration touches it (SQLite).
-- Ids and "updatedAt" come from the application, not from the database; timestamps are UTC text.

CREATE TABLE "MembershipStatus" (
    "id"        TEXT    NOT NULL PRIMARY KEY,
    "code"      TEXT    NOT NULL UNIQUE,
    "label"     TEXT    NOT NULL,
    "isActive"  INTEGER NOT NULL DEFAULT 1 CHECK ("isActive" IN (0, 1)),
    "sortOrder" INTEGER NOT NULL DEFAULT 0
);

CREATE TABLE "Member" (
    "id"                   TEXT NOT NULL PRIMARY KEY,
    "firstName"            TEXT NOT NULL,
    "lastName"             TEXT NOT NULL,
    "email"                TEXT NOT NULL UNIQUE,
    "phone"                TEXT,
    "joinedAt"             TEXT NOT NULL,
    "membershipStatusId"   TEXT NOT NULL REFERENCES "MembershipStatus" ("id") ON DELETE RESTRICT,
    "waMembershipLevelRaw" TEXT,
    "createdAt"            TEXT NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%SZ', 'now')),
    "updatedAt"            TEXT NOT NULL
);

-- Touches a row that is changed without a word about "updatedAt", e.g. by hand.
CREATE TRIGGER "Member_touch" AFTER UPDATE ON "Member"
WHEN NEW."updatedAt" IS OLD."updatedAt"
BEGIN
    UPDATE "Member" SET "updatedAt" = strftime('%Y-%m-%dT%H:%M:%SZ', 'now') WHERE "id" = NEW."id";
END;

CREATE TABLE "Event" (
    "id"          TEXT    NOT NULL PRIMARY KEY,
    "title"       TEXT    NOT NULL,
    "description" TEXT,
    "category"    TEXT,
    "location"    TEXT,
    "startTime"   TEXT    NOT NULL,
    "endTime"     TEXT,
    "capacity"    INTEGER CHECK ("capacity" > 0),
    "isPublished" INTEGER NOT NULL DEFAULT 0 CHECK ("isPublished" IN (0, 1)),
    "status"      TEXT    NOT NULL DEFAULT 'DRAFT'
                  CHECK ("status" IN ('DRAFT', 'PENDING_APPROVAL', 'CHANGES_REQUESTED', 'APPROVED',
                                      'PUBLISHED', 'CANCELED', 'COMPLETED')),
    "createdAt"   TEXT    NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%SZ', 'now')),
    "updatedAt"   TEXT    NOT NULL
);

CREATE TABLE "EventTag" (
    "id"      TEXT NOT NULL PRIMARY KEY,
    "eventId" TEXT NOT NULL REFERENCES "Event" ("id") ON DELETE CASCADE,
    "tag"     TEXT NOT NULL,
    UNIQUE ("eventId", "tag")
);

CREATE TABLE "EventRegistration" (
    "id"           TEXT NOT NULL PRIMARY KEY,
    "eventId"      TEXT NOT NULL REFERENCES "Event" ("id") ON DELETE RESTRICT,
    "memberId"     TEXT NOT NULL REFERENCES "Member" ("id") ON DELETE RESTRICT,
    "status"       TEXT NOT NULL DEFAULT 'DRAFT'
                   CHECK ("status" IN ('DRAFT', 'PENDING_PAYMENT', 'PENDING', 'CONFIRMED', 'WAITLISTED',
                                       'CANCELLED', 'REFUND_PENDING', 'REFUNDED', 'NO_SHOW')),
    "registeredAt" TEXT NOT NULL,
    "cancelledAt"  TEXT,
    "createdAt"    TEXT NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%SZ', 'now')),
    "updatedAt"    TEXT NOT NULL,
    UNIQUE ("eventId", "memberId")
);

CREATE INDEX "EventRegistration_memberId" ON "EventRegistration" ("memberId");

-- A payment goes with its registration: a careless delete of the one silently deletes the other.
CREATE TABLE "PaymentIntent" (
    "id"             TEXT    NOT NULL PRIMARY KEY,
    "registrationId" TEXT    NOT NULL REFERENCES "EventRegistration" ("id") ON DELETE CASCADE,
    "idempotencyKey" TEXT    NOT NULL UNIQUE,
    "amountCents"    INTEGER NOT NULL CHECK ("amountCents" >= 0),
    "createdAt"      TEXT    NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%SZ', 'now'))
);

CREATE INDEX "PaymentIntent_registrationId" ON "PaymentIntent" ("registrationId");

-- The application's own memory of where a row came from. No foreign keys: it points into three tables.
CREATE TABLE "WaIdMapping" (
    "id"          TEXT NOT NULL PRIMARY KEY,
    "entityType"  TEXT NOT NULL CHECK ("entityType" IN ('Member', 'Event', 'EventRegistration')),
    "waId"        TEXT NOT NULL,
    "murmurantId" TEXT NOT NULL,
    "syncRunId"   TEXT,
    "syncedAt"    TEXT NOT NULL,
    UNIQUE ("entityType", "waId")
);
