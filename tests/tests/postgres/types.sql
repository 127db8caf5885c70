-- One column of each type, in a schema that the search path does not lead to.
CREATE SCHEMA "Göttinger Schule";
CREATE TYPE mood AS ENUM ('sad', 'so so', 'Ünfroh');
CREATE DOMAIN cents AS bigint CHECK (VALUE >= 0);
CREATE DOMAIN short AS varchar(5);
CREATE TYPE pair AS (a int, b text);
CREATE TABLE "Göttinger Schule"."Typen "" alle" (
    id           bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    "Kürzel"     text NOT NULL UNIQUE,
    small        smallint,
    big          bigint,
    num          numeric,
    money_like   numeric(12,2),
    f4           real,
    f8           double precision,
    flag         boolean,
    day          date,
    at           timestamp(3),
    atz          timestamptz,
    clock        time,
    span         interval,
    uid          uuid,
    raw          bytea,
    j            json,
    jb           jsonb,
    words        text[],
    ints         int[],
    grid         int[],
    mood         mood,
    cents        cents,
    short        short,
    code         char(3),
    address      inet,
    net          cidr,
    mac          macaddr,
    range        int4range,
    search       tsvector,
    bits         bit(4),
    pair         pair,
    doubled      numeric GENERATED ALWAYS AS (big::numeric * 2) STORED,
    touched      timestamptz NOT NULL DEFAULT '2020-01-01Z'
);
CREATE FUNCTION touch() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN NEW.touched := clock_timestamp(); RETURN NEW; END';
CREATE TRIGGER touch BEFORE UPDATE ON "Göttinger Schule"."Typen "" alle" FOR EACH ROW EXECUTE FUNCTION touch();
INSERT INTO "Göttinger Schule"."Typen "" alle"
    ("Kürzel", small, num, at, span, uid, raw, words, grid, jb, bits, pair, f8, mood)
VALUES ('alt', 1, 1.500, '2001-02-03 04:05:06.7', '1 mon -2 days', '5a000000-0000-4000-8000-00000000000a', '\x00ff',
    '{a,NULL,"b c"}', '[0:1]={1,2}', '{"b": 1.50, "a": null}', '1010', '(1,"x,y")', 'NaN', 'so so');
