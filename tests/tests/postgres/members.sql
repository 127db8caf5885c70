-- The club's application on PostgreSQL: quoted names, uuid keys without a default, enums, timestamps
-- of milliseconds without a zone, a trigger that touches "updatedAt" whatever is written.

CREATE TYPE "EventStatus" AS ENUM ('DRAFT', 'PENDING_APPROVAL', 'CHANGES_REQUESTED', 'APPROVED', 'PUBLISHED', 'CANCELED', 'COMPLETED');
CREATE TYPE "RegistrationStatus" AS ENUM ('DRAFT', 'PENDING_PAYMENT', 'PENDING', 'CONFIRMED', 'WAITLISTED', 'CANCELLED', 'REFUND_PENDING', 'REFUNDED', 'NO_SHOW');

CREATE TABLE "MembershipStatus" (
    "id"        uuid PRIMARY KEY,
    "code"      text NOT NULL UNIQUE,
    "label"     text NOT NULL,
    "isActive"  boolean NOT NULL DEFAULT true,
    "sortOrder" integer NOT NULL DEFAULT 0
);

CREATE TABLE "Member" (
    "id"                   uuid PRIMARY KEY,
    "firstName"            text NOT NULL,
    "lastName"             text NOT NULL,
    "email"                text NOT NULL UNIQUE,
    "phone"                text,
    "joinedAt"             timestamp(3) NOT NULL,
    "membershipStatusId"   uuid NOT NULL REFERENCES "MembershipStatus" ("id") ON DELETE RESTRICT ON UPDATE CASCADE,
    "waMembershipLevelRaw" text,
    "waRawData"            jsonb,
    "createdAt"            timestamp(3) NOT NULL DEFAULT CURRENT_TIMESTAMP,
    "updatedAt"            timestamp(3) NOT NULL
);

CREATE FUNCTION touch() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    NEW."updatedAt" = now();
    RETURN NEW;
END $$;
CREATE TRIGGER "Member_touch" BEFORE UPDATE ON "Member" FOR EACH ROW EXECUTE FUNCTION touch();

CREATE TABLE "Event" (
    "id"          uuid PRIMARY KEY,
    "title"       text NOT NULL,
    "description" text,
    "category"    text,
    "location"    text,
    "startTime"   timestamp(3) NOT NULL,
    "endTime"     timestamp(3),
    "capacity"    integer CHECK ("capacity" > 0),
    "isPublished" boolean NOT NULL DEFAULT false,
    "status"      "EventStatus" NOT NULL DEFAULT 'DRAFT',
    "chairId"     uuid REFERENCES "Member" ("id") ON DELETE SET NULL,
    "clonedFrom"  uuid REFERENCES "Event" ("id") ON DELETE SET NULL,
    "createdAt"   timestamp(3) NOT NULL DEFAULT CURRENT_TIMESTAMP,
    "updatedAt"   timestamp(3) NOT NULL
);

CREATE TABLE "EventTag" (
    "id"      uuid PRIMARY KEY,
    "eventId" uuid NOT NULL REFERENCES "Event" ("id") ON DELETE CASCADE,
    "tag"     text NOT NULL,
    UNIQUE ("eventId", "tag")
);

CREATE TABLE "EventRegistration" (
    "id"           uuid PRIMARY KEY,
    "eventId"      uuid NOT NULL REFERENCES "Event" ("id") ON DELETE RESTRICT,
    "memberId"     uuid NOT NULL REFERENCES "Member" ("id") ON DELETE RESTRICT,
    "status"       "RegistrationStatus" NOT NULL DEFAULT 'DRAFT',
    "registeredAt" timestamp(3) NOT NULL,
    "cancelledAt"  timestamp(3),
    "createdAt"    timestamp(3) NOT NULL DEFAULT CURRENT_TIMESTAMP,
    "updatedAt"    timestamp(3) NOT NULL
);
CREATE UNIQUE INDEX "EventRegistration_key" ON "EventRegistration" ("eventId", "memberId");
CREATE INDEX "EventRegistration_memberId" ON "EventRegistration" ("memberId");

CREATE TABLE "PaymentIntent" (
    "id"             uuid PRIMARY KEY,
    "registrationId" uuid NOT NULL REFERENCES "EventRegistration" ("id") ON DELETE CASCADE,
    "idempotencyKey" text NOT NULL UNIQUE,
    "amountCents"    integer NOT NULL CHECK ("amountCents" >= 0),
    "createdAt"      timestamp(3) NOT NULL DEFAULT CURRENT_TIMESTAMP
);
CREATE INDEX "PaymentIntent_registrationId" ON "PaymentIntent" ("registrationId");

CREATE TABLE "WaIdMapping" (
    "id"          uuid PRIMARY KEY,
    "entityType"  text NOT NULL,
    "waId"        text NOT NULL,
    "murmurantId" uuid NOT NULL,
    "syncRunId"   uuid,
    "syncedAt"    timestamp(3) NOT NULL,
    UNIQUE ("entityType", "waId")
);
