SET statement_timeout = 0;
SET lock_timeout = 0;
SET idle_in_transaction_session_timeout = 0;
SET client_encoding = 'UTF8';
SET standard_conforming_strings = on;
SELECT pg_catalog.set_config('search_path', '', false);
SET check_function_bodies = false;
SET xmloption = content;
SET client_min_messages = warning;
SET row_security = off;
CREATE SCHEMA club;
CREATE SCHEMA switchback;
SET default_tablespace = '';
CREATE TABLE club.log (
    id uuid NOT NULL,
    kind text,
    content text
);
CREATE TABLE club.member (
    id uuid NOT NULL,
    email text NOT NULL,
    name text NOT NULL,
    note text,
    balance numeric,
    sponsor uuid,
    tags text[],
    updated timestamp with time zone
);
CREATE TABLE public.member (
    id uuid NOT NULL,
    email text NOT NULL,
    name text NOT NULL,
    note text,
    balance numeric,
    sponsor uuid,
    tags text[],
    updated timestamp with time zone
);
CREATE TABLE switchback.audit (
    seq bigint NOT NULL,
    at bigint NOT NULL,
    action text NOT NULL,
    run text,
    operator text NOT NULL,
    host text NOT NULL,
    detail text NOT NULL,
    hash bytea NOT NULL
);
CREATE TABLE switchback.batches (
    run bigint NOT NULL,
    no bigint NOT NULL,
    phase text NOT NULL,
    entity text NOT NULL,
    records bigint NOT NULL,
    status text NOT NULL,
    counts text NOT NULL,
    first_seq bigint,
    last_seq bigint,
    error text,
    at bigint NOT NULL,
    files text NOT NULL
);
CREATE TABLE switchback.changes (
    run bigint NOT NULL,
    seq bigint NOT NULL,
    batch bigint NOT NULL,
    shape bigint NOT NULL,
    action bigint NOT NULL,
    target bytea,
    entity bigint,
    source text COLLATE pg_catalog."C",
    before bytea,
    after bytea,
    hash bytea,
    earlier bigint,
    later bigint,
    entry bytea,
    checksum bigint NOT NULL
);
CREATE TABLE switchback.failures (
    run bigint NOT NULL,
    batch bigint NOT NULL,
    no bigint NOT NULL,
    line text NOT NULL
);
CREATE TABLE switchback.hooks (
    run bigint NOT NULL,
    no bigint NOT NULL,
    event text NOT NULL,
    hook bigint NOT NULL,
    status text NOT NULL,
    holder text,
    tries bigint NOT NULL,
    at bigint NOT NULL,
    detail text
);
CREATE TABLE switchback.ids (
    entity bigint NOT NULL,
    source text NOT NULL COLLATE pg_catalog."C",
    claim bigint NOT NULL,
    target bytea,
    gone bigint NOT NULL,
    digest bytea NOT NULL,
    sums bytea NOT NULL,
    run bigint NOT NULL,
    seq bigint NOT NULL
);
CREATE TABLE switchback.kept (
    run bigint NOT NULL,
    seq bigint NOT NULL,
    reason text NOT NULL,
    detail text NOT NULL
);
CREATE TABLE switchback.lock (
    id bigint NOT NULL,
    token bigint NOT NULL,
    run text,
    holder text,
    since bigint,
    expires bigint
);
CREATE TABLE switchback.meta (
    version bigint NOT NULL
);
CREATE TABLE switchback.names (
    id bigint NOT NULL,
    kind text NOT NULL,
    name text NOT NULL
);
CREATE TABLE switchback.runs (
    seq bigint NOT NULL,
    id text NOT NULL,
    bundle text NOT NULL,
    bundle_path text,
    name text NOT NULL,
    system text NOT NULL,
    plan text NOT NULL,
    lookups text NOT NULL,
    counters text NOT NULL,
    status text NOT NULL,
    operator text NOT NULL,
    environment text,
    host text NOT NULL,
    target text NOT NULL,
    tool text NOT NULL,
    batch_size bigint NOT NULL,
    started bigint NOT NULL,
    ended bigint,
    counts text NOT NULL,
    last_seq bigint NOT NULL,
    undo_seq bigint,
    kept bigint NOT NULL,
    snapshot text,
    reason text
);
INSERT INTO club.log VALUES ('0a5b22c8-691c-598e-a237-3aa7069ff197', 'migration', '{"run":"01900000-0000-7000-8000-00000000000a","bundle":"fb4a647f9c8549298fb5df70a64fe6e1a6fe0732e99d63b7d88f6027e06bde9b","name":"club","system":"club-export","operator":"clerk","started_at":"2024-06-01T10:00:00.000Z","status":"rolled-back","counts":{"created":4,"updated":1,"unchanged":0,"deleted":1,"skipped":{},"failed":0,"not_attempted":0,"drifted":0,"linked":4}}');
INSERT INTO club.log VALUES ('d60b50f3-37d9-581e-ba54-143472082426', 'migration', '{"run":"01900000-0000-7000-8000-00000000000b","bundle":"fb4a647f9c8549298fb5df70a64fe6e1a6fe0732e99d63b7d88f6027e06bde9b","name":"club","system":"club-export","operator":"clerk","started_at":"2024-06-02T10:00:00.000Z","status":"completed","counts":{"created":4,"updated":1,"unchanged":0,"deleted":1,"skipped":{},"failed":0,"not_attempted":0,"drifted":0,"linked":4}}');
INSERT INTO club.member VALUES ('00000000-0000-4000-8000-000000000002', 'fay@example.org', 'Fay', NULL, 2, NULL, '{vip}', '2001-02-03 04:05:06+00');
INSERT INTO club.member VALUES ('6b33838e-9f06-5480-9132-b24819bd567d', 'dee@example.org', 'Dee', NULL, 7, NULL, '{run:0190000000007000800000000000000b}', '2024-06-02 10:00:00+00');
INSERT INTO club.member VALUES ('00000000-0000-4000-8000-000000000001', 'ann@example.org', 'Ann', NULL, 12.50, '6b3d2dda-678a-5e8e-bac1-817db1d0efab', '{run:0190000000007000800000000000000b}', '2024-06-02 10:00:00+00');
INSERT INTO club.member VALUES ('6b3d2dda-678a-5e8e-bac1-817db1d0efab', 'bo@example.org', 'Bo', 'short', 0, '00000000-0000-4000-8000-000000000001', '{run:0190000000007000800000000000000b}', '2024-06-02 10:00:00+00');
INSERT INTO club.member VALUES ('d025c695-4b27-5fcb-b3e1-17a8359d19d1', 'cy@example.org', 'Cy', 'A long note. A long note. A long note. A long note. A long note. A long note. A long note. A long note. A long note. A long note. A long note. A long note. A long note. A long note. A long note. A long note. A long note. A long note. A long note. A long note. A long note. A long note. A long note. A long note. A long note. A long note. A long note. A long note. A long note. A long note. A long note. A long note. A long note. A long note. A long note. A long note. A long note. A long note. A long note. A long note. A long note. A long note. A long note. A long note. A long note. A long note. A long note. A long note. A long note. A long note. A long note. A long note. A long note. A long note. A long note. A long note. A long note. A long note. A long note. A long note. A long note. A long note. A long note. A long note. A long note. A long note. A long note. A long note. A long note. A long note. A long note. A long note. A long note. A long note. A long note. A long note. A long note. A long note. A long note. A long note. A long note. A long note. A long note. A long note. A long note. A long note. A long note. A long note. A long note. A long note. A long note. A long note. A long note. A long note. A long note. A long note. A long note. A long note. A long note. A long note. A long note. A long note. A long note. A long note. A long note. A long note. A long note. A long note. A long note. A long note. A long note. A long note. A long note. A long note. A long note. A long note. A long note. A long note. A long note. A long note.', -3.10, '00000000-0000-4000-8000-000000000001', '{run:0190000000007000800000000000000b}', '2024-06-02 10:00:00+00');
INSERT INTO club.member VALUES ('50308856-dd1a-592a-8a07-bd9f03d3fa6f', 'eve@example.org', 'Eve', 'ü', 1.00, '6b33838e-9f06-5480-9132-b24819bd567d', '{run:0190000000007000800000000000000b}', '2024-06-02 10:00:00+00');
INSERT INTO public.member VALUES ('00000000-0000-4000-8000-000000000009', 'zoe@example.org', 'Zoe', 'of others', 9, NULL, NULL, '2001-02-03 04:05:06+00');
INSERT INTO switchback.audit VALUES (1, 1717236000000, 'migration:started', '01900000-0000-7000-8000-00000000000a', 'clerk', 'host.example', '{"bundle":"fb4a647f9c8549298fb5df70a64fe6e1a6fe0732e99d63b7d88f6027e06bde9b","records":6,"batch_size":2,"fingerprints":{"log":"sha256 0000000000000000000000000000000000000000000000000000000000000000, 0 rows","member":"sha256 08536752811ff477711464f2c702deb4d48f7e08b38629fd2a0e05b88b874c61, 3 rows"}}', '\x74973dcdc5819dcd538a9a23719577f1bfdfbcfec0c34bdc7b30c9b043831898');
INSERT INTO switchback.audit VALUES (2, 1717236000000, 'migration:completed', '01900000-0000-7000-8000-00000000000a', 'clerk', 'host.example', '{"counts":{"created":4,"updated":1,"unchanged":0,"deleted":1,"skipped":{},"failed":0,"not_attempted":0,"drifted":0,"linked":4},"reason":null}', '\x0548e3d5d2e151bc2f6eec32cc6bc2085496cc1a9c2ddc82cbd90d18b523bcd7');
INSERT INTO switchback.audit VALUES (3, 1796060269366, 'migration:rollback:level1', '01900000-0000-7000-8000-00000000000a', 'clerk', 'host.example', '{"records":12,"kept":0,"operator":"clerk","reason":null}', '\xa65d4b3b18e1b217f35108bebe8f7010cf7057ed044b478fb44ff64ebc1521bb');
INSERT INTO switchback.audit VALUES (4, 1717322400000, 'migration:started', '01900000-0000-7000-8000-00000000000b', 'clerk', 'host.example', '{"bundle":"fb4a647f9c8549298fb5df70a64fe6e1a6fe0732e99d63b7d88f6027e06bde9b","records":6,"batch_size":2,"fingerprints":{"log":"sha256 fbe7fff88ee7c9b9185d70df43cc365b38dcaf1b765c30237e948c308516c9ed, 1 row","member":"sha256 08536752811ff477711464f2c702deb4d48f7e08b38629fd2a0e05b88b874c61, 3 rows"}}', '\x419349412e210f23df0a0c93b908a5a72c008f00749ef1092fee8d39f8a39b9e');
INSERT INTO switchback.audit VALUES (5, 1717322400000, 'migration:completed', '01900000-0000-7000-8000-00000000000b', 'clerk', 'host.example', '{"counts":{"created":4,"updated":1,"unchanged":0,"deleted":1,"skipped":{},"failed":0,"not_attempted":0,"drifted":0,"linked":4},"reason":null}', '\xf4c2f63b66b8e8181d30366977a2f214a581f61475b13371b4b96058225dac04');
INSERT INTO switchback.batches VALUES (1, 1, 'put', 'member', 2, 'applied', '{"created":1,"updated":1,"unchanged":0,"deleted":0,"skipped":{},"failed":0,"not_attempted":0,"drifted":0,"linked":0}', 1, 2, NULL, 1796060262303, '{"members.csv":{"created":1,"updated":1,"unchanged":0,"deleted":0,"skipped":{},"failed":0,"not_attempted":0,"drifted":0,"linked":0}}');
INSERT INTO switchback.batches VALUES (1, 2, 'put', 'member', 2, 'applied', '{"created":2,"updated":0,"unchanged":0,"deleted":0,"skipped":{},"failed":0,"not_attempted":0,"drifted":0,"linked":0}', 3, 4, NULL, 1796060262674, '{"members.csv":{"created":2,"updated":0,"unchanged":0,"deleted":0,"skipped":{},"failed":0,"not_attempted":0,"drifted":0,"linked":0}}');
INSERT INTO switchback.batches VALUES (1, 3, 'put', 'member', 1, 'applied', '{"created":1,"updated":0,"unchanged":0,"deleted":0,"skipped":{},"failed":0,"not_attempted":0,"drifted":0,"linked":0}', 5, 5, NULL, 1796060262897, '{"members.csv":{"created":1,"updated":0,"unchanged":0,"deleted":0,"skipped":{},"failed":0,"not_attempted":0,"drifted":0,"linked":0}}');
INSERT INTO switchback.batches VALUES (1, 4, 'late', 'member', 2, 'applied', '{"created":0,"updated":0,"unchanged":0,"deleted":0,"skipped":{},"failed":0,"not_attempted":0,"drifted":0,"linked":2}', 6, 7, NULL, 1796060263210, '{"members.csv":{"created":0,"updated":0,"unchanged":0,"deleted":0,"skipped":{},"failed":0,"not_attempted":0,"drifted":0,"linked":2}}');
INSERT INTO switchback.batches VALUES (1, 5, 'late', 'member', 2, 'applied', '{"created":0,"updated":0,"unchanged":0,"deleted":0,"skipped":{},"failed":0,"not_attempted":0,"drifted":0,"linked":1}', 8, 9, NULL, 1796060263409, '{"members.csv":{"created":0,"updated":0,"unchanged":0,"deleted":0,"skipped":{},"failed":0,"not_attempted":0,"drifted":0,"linked":1}}');
INSERT INTO switchback.batches VALUES (1, 6, 'late', 'member', 1, 'applied', '{"created":0,"updated":0,"unchanged":0,"deleted":0,"skipped":{},"failed":0,"not_attempted":0,"drifted":0,"linked":1}', 10, 10, NULL, 1796060263739, '{"members.csv":{"created":0,"updated":0,"unchanged":0,"deleted":0,"skipped":{},"failed":0,"not_attempted":0,"drifted":0,"linked":1}}');
INSERT INTO switchback.batches VALUES (1, 7, 'delete', 'leaver', 1, 'applied', '{"created":0,"updated":0,"unchanged":0,"deleted":1,"skipped":{},"failed":0,"not_attempted":0,"drifted":0,"linked":0}', 11, 11, NULL, 1796060264162, '{"leavers.csv":{"created":0,"updated":0,"unchanged":0,"deleted":1,"skipped":{},"failed":0,"not_attempted":0,"drifted":0,"linked":0}}');
INSERT INTO switchback.batches VALUES (2, 1, 'put', 'member', 2, 'applied', '{"created":1,"updated":1,"unchanged":0,"deleted":0,"skipped":{},"failed":0,"not_attempted":0,"drifted":0,"linked":0}', 1, 2, NULL, 1796060270924, '{"members.csv":{"created":1,"updated":1,"unchanged":0,"deleted":0,"skipped":{},"failed":0,"not_attempted":0,"drifted":0,"linked":0}}');
INSERT INTO switchback.batches VALUES (2, 2, 'put', 'member', 2, 'applied', '{"created":2,"updated":0,"unchanged":0,"deleted":0,"skipped":{},"failed":0,"not_attempted":0,"drifted":0,"linked":0}', 3, 4, NULL, 1796060271001, '{"members.csv":{"created":2,"updated":0,"unchanged":0,"deleted":0,"skipped":{},"failed":0,"not_attempted":0,"drifted":0,"linked":0}}');
INSERT INTO switchback.batches VALUES (2, 3, 'put', 'member', 1, 'applied', '{"created":1,"updated":0,"unchanged":0,"deleted":0,"skipped":{},"failed":0,"not_attempted":0,"drifted":0,"linked":0}', 5, 5, NULL, 1796060271082, '{"members.csv":{"created":1,"updated":0,"unchanged":0,"deleted":0,"skipped":{},"failed":0,"not_attempted":0,"drifted":0,"linked":0}}');
INSERT INTO switchback.batches VALUES (2, 4, 'late', 'member', 2, 'applied', '{"created":0,"updated":0,"unchanged":0,"deleted":0,"skipped":{},"failed":0,"not_attempted":0,"drifted":0,"linked":2}', 6, 7, NULL, 1796060271359, '{"members.csv":{"created":0,"updated":0,"unchanged":0,"deleted":0,"skipped":{},"failed":0,"not_attempted":0,"drifted":0,"linked":2}}');
INSERT INTO switchback.batches VALUES (2, 5, 'late', 'member', 2, 'applied', '{"created":0,"updated":0,"unchanged":0,"deleted":0,"skipped":{},"failed":0,"not_attempted":0,"drifted":0,"linked":1}', 8, 9, NULL, 1796060271733, '{"members.csv":{"created":0,"updated":0,"unchanged":0,"deleted":0,"skipped":{},"failed":0,"not_attempted":0,"drifted":0,"linked":1}}');
INSERT INTO switchback.batches VALUES (2, 6, 'late', 'member', 1, 'applied', '{"created":0,"updated":0,"unchanged":0,"deleted":0,"skipped":{},"failed":0,"not_attempted":0,"drifted":0,"linked":1}', 10, 10, NULL, 1796060272141, '{"members.csv":{"created":0,"updated":0,"unchanged":0,"deleted":0,"skipped":{},"failed":0,"not_attempted":0,"drifted":0,"linked":1}}');
INSERT INTO switchback.batches VALUES (2, 7, 'delete', 'leaver', 1, 'applied', '{"created":0,"updated":0,"unchanged":0,"deleted":1,"skipped":{},"failed":0,"not_attempted":0,"drifted":0,"linked":0}', 11, 11, NULL, 1796060272207, '{"leavers.csv":{"created":0,"updated":0,"unchanged":0,"deleted":1,"skipped":{},"failed":0,"not_attempted":0,"drifted":0,"linked":0}}');
INSERT INTO switchback.changes VALUES (1, 1, 1, 3, 2, '\x74000000000000002430303030303030302d303030302d343030302d383030302d303030303030303030303031', 1, '1', '\x0002740000000000000004416e6e65000374000000000000000961732069742077617300047400000000000000013100066e0007740000000000000016323030312d30322d30332030343a30353a30362b3030', '\x0002740000000000000003416e6e00036e000474000000000000000531322e353000067400000000000000285b2272756e3a3031393030303030303030303730303038303030303030303030303030303061225d', '\xe588cb7941d19f8c35dfba27320c74c5', NULL, 6, '\x', 7213643488924232999);
INSERT INTO switchback.changes VALUES (1, 2, 1, 3, 1, '\x74000000000000002436623364326464612d363738612d356538652d626163312d383137646231643065666162', 1, '2', NULL, '\x2e4fb37a9e702c1d1f5ec6912226cc57aa9576361b16b1df6d3da1c77e6fa2f6', '\x6a0bc5fac348fbd3ac2097284b854cda', NULL, 7, '\x', 3958754238968708127);
INSERT INTO switchback.changes VALUES (1, 6, 4, 3, 2, '\x74000000000000002430303030303030302d303030302d343030302d383030302d303030303030303030303031', 1, '1', '\x00056e0007740000000000000016323032342d30362d30312031303a30303a30302b3030', '\x000574000000000000002436623364326464612d363738612d356538652d626163312d383137646231643065666162', '\x8051b1699fa639531f6ae314765aad09', 1, NULL, '\x6900000000000000017400000000000000013169000000000000000274000000000000002430303030303030302d303030302d343030302d383030302d3030303030303030303030316900000000000000006200000000000000101a86eb58ba2b60c21aabd7e85e8c447e62000000000000002800015307179223ff73c700028c53277d1826488000031b16b1df538ba12d00047879538db201a2c5690000000000000001690000000000000001', -3694599627632078870);
INSERT INTO switchback.changes VALUES (1, 7, 4, 3, 2, '\x74000000000000002436623364326464612d363738612d356538652d626163312d383137646231643065666162', 1, '2', '\x00056e0007740000000000000016323032342d30362d30312031303a30303a30302b3030', '\x000574000000000000002430303030303030302d303030302d343030302d383030302d303030303030303030303031', '\x6a0bc5fac348fbd3ac2097284b854cda', 2, NULL, '\x6900000000000000017400000000000000013269000000000000000274000000000000002436623364326464612d363738612d356538652d626163312d383137646231643065666162690000000000000000620000000000000010f80b347f8942e0eeff34269f6390996362000000000000002800019e702c1d8e5fe1de00021f5ec691a2bb271400032226cc57be7de8f20004aa95763604c2bfad690000000000000001690000000000000002', 282902660604380091);
INSERT INTO switchback.changes VALUES (1, 3, 2, 3, 1, '\x74000000000000002464303235633639352d346232372d356663622d623365312d313761383335396431396431', 1, '3', NULL, '\x905e7695daac1152b682ffaf6e17339f59be2fc11b16b1df6d3da1c77e6fa2f6', '\x4c8046d7d8a0166cc1c55b68bcf29ddc', NULL, 8, '\x', -2913118252250080374);
INSERT INTO switchback.changes VALUES (1, 4, 2, 3, 1, '\x74000000000000002436623333383338652d396630362d353438302d393133322d623234383139626435363764', 1, '4', NULL, '\x4e2042c17c305cbfc2a1b7e81b16b1df82051d111b16b1df6d3da1c77e6fa2f6', '\x9170f99ef992212723cc18e89c51c27f', NULL, 9, '\x', -6282359356141319454);
INSERT INTO switchback.changes VALUES (1, 8, 5, 3, 2, '\x74000000000000002464303235633639352d346232372d356663622d623365312d313761383335396431396431', 1, '3', '\x00056e0007740000000000000016323032342d30362d30312031303a30303a30302b3030', '\x000574000000000000002430303030303030302d303030302d343030302d383030302d303030303030303030303031', '\x4c8046d7d8a0166cc1c55b68bcf29ddc', 3, NULL, '\x6900000000000000017400000000000000013369000000000000000274000000000000002464303235633639352d346232372d356663622d623365312d313761383335396431396431690000000000000000620000000000000010080557ff83ae86c791049b800109ef296200000000000000280001daac11524dbeed1c0002b682ffafec350d7b00036e17339fdea5b694000459be2fc1f6a6f10b690000000000000001690000000000000003', 1021073509343019547);
INSERT INTO switchback.changes VALUES (1, 9, 5, 3, 4, '\x74000000000000002436623333383338652d396630362d353438302d393133322d623234383139626435363764', 1, '4', NULL, NULL, '\x00000000000000000000000000000000', 4, NULL, '\x6900000000000000017400000000000000013469000000000000000274000000000000002436623333383338652d396630362d353438302d393133322d6232343831396264353637646900000000000000006200000000000000102a366f49e22fd2f6ff341291dd08fecf62000000000000002800017c305cbfe771cd840002c2a1b7e8dcf88bd400031b16b1df538ba12d000482051d11a894eaaf690000000000000001690000000000000004', -3352792345527515113);
INSERT INTO switchback.changes VALUES (1, 5, 3, 3, 1, '\x74000000000000002435303330383835362d646431612d353932612d386130372d626439663033643366613666', 1, '5', NULL, '\x292a3aac74dc0b5a4e7c452e7a90af4616d443e61b16b1df6d3da1c77e6fa2f6', '\x4294aedab69333241aee035eca0cb6cf', NULL, 10, '\x', -2711152648658255131);
INSERT INTO switchback.changes VALUES (1, 10, 6, 3, 2, '\x74000000000000002435303330383835362d646431612d353932612d386130372d626439663033643366613666', 1, '5', '\x00056e0007740000000000000016323032342d30362d30312031303a30303a30302b3030', '\x000574000000000000002436623333383338652d396630362d353438302d393133322d623234383139626435363764', '\x4294aedab69333241aee035eca0cb6cf', 5, NULL, '\x6900000000000000017400000000000000013569000000000000000274000000000000002435303330383835362d646431612d353932612d386130372d6264396630336433666136666900000000000000006200000000000000108a9d2065134b00f8ac0adfad2e718e12620000000000000028000174dc0b5adb10c8fb00024e7c452e4f62440e00037a90af468ab14fac000416d443e6f5e7739f690000000000000001690000000000000005', 1534737205669887536);
INSERT INTO switchback.changes VALUES (1, 11, 7, 3, 3, '\x74000000000000002430303030303030302d303030302d343030302d383030302d303030303030303030303033', 4, '00000000-0000-4000-8000-000000000003', '\x000074000000000000002430303030303030302d303030302d343030302d383030302d303030303030303030303033000174000000000000000f677573406578616d706c652e6f726700027400000000000000034775730003740000000000000004676f6573000474000000000000000133000574000000000000002430303030303030302d303030302d343030302d383030302d30303030303030303030303200067400000000000000025b5d0007740000000000000016323030312d30322d30332030343a30353a30362b3030', NULL, '\x8d98550c1546ed0910d1fcbb97ad8fc4', NULL, NULL, '\x', 8574148090450432725);
INSERT INTO switchback.changes VALUES (1, 12, 0, 7, 5, '\x74000000000000002430613562323263382d363931632d353938652d613233372d336161373036396666313937', NULL, NULL, NULL, '\xfcb50a90de3a2b2bbcd3915a', '\x195054ec8ee07f933a6d0631f73c8035', NULL, NULL, NULL, -7389248632908603939);
INSERT INTO switchback.changes VALUES (2, 1, 1, 3, 2, '\x74000000000000002430303030303030302d303030302d343030302d383030302d303030303030303030303031', 1, '1', '\x0002740000000000000004416e6e65000374000000000000000961732069742077617300047400000000000000013100066e0007740000000000000016323030312d30322d30332030343a30353a30362b3030', '\x0002740000000000000003416e6e00036e000474000000000000000531322e353000067400000000000000285b2272756e3a3031393030303030303030303730303038303030303030303030303030303062225d', '\xe588cb7941d19f8c35dfba27320c74c5', NULL, 6, '\x', 6657225135830667293);
INSERT INTO switchback.changes VALUES (2, 2, 1, 3, 1, '\x74000000000000002436623364326464612d363738612d356538652d626163312d383137646231643065666162', 1, '2', NULL, '\x2e4fb37a9e702c1d1f5ec6912226cc57aa9576361b16b1dfc27c673f3cc77aad', '\xceec20287b888d082cb9e0c7e5e6b029', NULL, 7, '\x', -2781961334412123273);
INSERT INTO switchback.changes VALUES (2, 6, 4, 3, 2, '\x74000000000000002430303030303030302d303030302d343030302d383030302d303030303030303030303031', 1, '1', '\x00056e0007740000000000000016323032342d30362d30322031303a30303a30302b3030', '\x000574000000000000002436623364326464612d363738612d356538652d626163312d383137646231643065666162', '\x04e050945fa716307159d11a7f4bf598', 1, NULL, '\x6900000000000000017400000000000000013169000000000000000274000000000000002430303030303030302d303030302d343030302d383030302d3030303030303030303030316900000000000000006200000000000000101a86eb58ba2b60c21aabd7e85e8c447e62000000000000002800015307179223ff73c700028c53277d1826488000031b16b1df538ba12d00047879538db201a2c5690000000000000002690000000000000001', -591763322682663649);
INSERT INTO switchback.changes VALUES (2, 7, 4, 3, 2, '\x74000000000000002436623364326464612d363738612d356538652d626163312d383137646231643065666162', 1, '2', '\x00056e0007740000000000000016323032342d30362d30322031303a30303a30302b3030', '\x000574000000000000002430303030303030302d303030302d343030302d383030302d303030303030303030303031', '\xceec20287b888d082cb9e0c7e5e6b029', 2, NULL, '\x6900000000000000017400000000000000013269000000000000000274000000000000002436623364326464612d363738612d356538652d626163312d383137646231643065666162690000000000000000620000000000000010f80b347f8942e0eeff34269f6390996362000000000000002800019e702c1d8e5fe1de00021f5ec691a2bb271400032226cc57be7de8f20004aa95763604c2bfad690000000000000002690000000000000002', 6701254983114021826);
INSERT INTO switchback.changes VALUES (2, 3, 2, 3, 1, '\x74000000000000002464303235633639352d346232372d356663622d623365312d313761383335396431396431', 1, '3', NULL, '\x905e7695daac1152b682ffaf6e17339f59be2fc11b16b1dfc27c673f3cc77aad', '\x2260e421eedea33e8154871cdca353f5', NULL, 8, '\x', 972785680419219527);
INSERT INTO switchback.changes VALUES (2, 4, 2, 3, 1, '\x74000000000000002436623333383338652d396630362d353438302d393133322d623234383139626435363764', 1, '4', NULL, '\x4e2042c17c305cbfc2a1b7e81b16b1df82051d111b16b1dfc27c673f3cc77aad', '\x3143ffc5d382feed9a78dec19d74a4ed', NULL, 9, '\x', 1728154420675989482);
INSERT INTO switchback.changes VALUES (2, 8, 5, 3, 2, '\x74000000000000002464303235633639352d346232372d356663622d623365312d313761383335396431396431', 1, '3', '\x00056e0007740000000000000016323032342d30362d30322031303a30303a30302b3030', '\x000574000000000000002430303030303030302d303030302d343030302d383030302d303030303030303030303031', '\x2260e421eedea33e8154871cdca353f5', 3, NULL, '\x6900000000000000017400000000000000013369000000000000000274000000000000002464303235633639352d346232372d356663622d623365312d313761383335396431396431690000000000000000620000000000000010080557ff83ae86c791049b800109ef296200000000000000280001daac11524dbeed1c0002b682ffafec350d7b00036e17339fdea5b694000459be2fc1f6a6f10b690000000000000002690000000000000003', -8707461710555479572);
INSERT INTO switchback.changes VALUES (2, 9, 5, 3, 4, '\x74000000000000002436623333383338652d396630362d353438302d393133322d623234383139626435363764', 1, '4', NULL, NULL, '\x00000000000000000000000000000000', 4, NULL, '\x6900000000000000017400000000000000013469000000000000000274000000000000002436623333383338652d396630362d353438302d393133322d6232343831396264353637646900000000000000006200000000000000102a366f49e22fd2f6ff341291dd08fecf62000000000000002800017c305cbfe771cd840002c2a1b7e8dcf88bd400031b16b1df538ba12d000482051d11a894eaaf690000000000000002690000000000000004', -2449325712293340197);
INSERT INTO switchback.changes VALUES (2, 5, 3, 3, 1, '\x74000000000000002435303330383835362d646431612d353932612d386130372d626439663033643366613666', 1, '5', NULL, '\x292a3aac74dc0b5a4e7c452e7a90af4616d443e61b16b1dfc27c673f3cc77aad', '\x93d71b9b6a48214f8d00bfe1efc2ee22', NULL, 10, '\x', 1072373576327671772);
INSERT INTO switchback.changes VALUES (2, 10, 6, 3, 2, '\x74000000000000002435303330383835362d646431612d353932612d386130372d626439663033643366613666', 1, '5', '\x00056e0007740000000000000016323032342d30362d30322031303a30303a30302b3030', '\x000574000000000000002436623333383338652d396630362d353438302d393133322d623234383139626435363764', '\x93d71b9b6a48214f8d00bfe1efc2ee22', 5, NULL, '\x6900000000000000017400000000000000013569000000000000000274000000000000002435303330383835362d646431612d353932612d386130372d6264396630336433666136666900000000000000006200000000000000108a9d2065134b00f8ac0adfad2e718e12620000000000000028000174dc0b5adb10c8fb00024e7c452e4f62440e00037a90af468ab14fac000416d443e6f5e7739f690000000000000002690000000000000005', 8725861447514048968);
INSERT INTO switchback.changes VALUES (2, 11, 7, 3, 3, '\x74000000000000002430303030303030302d303030302d343030302d383030302d303030303030303030303033', 4, '00000000-0000-4000-8000-000000000003', '\x000074000000000000002430303030303030302d303030302d343030302d383030302d303030303030303030303033000174000000000000000f677573406578616d706c652e6f726700027400000000000000034775730003740000000000000004676f6573000474000000000000000133000574000000000000002430303030303030302d303030302d343030302d383030302d30303030303030303030303200067400000000000000025b5d0007740000000000000016323030312d30322d30332030343a30353a30362b3030', NULL, '\x8d98550c1546ed0910d1fcbb97ad8fc4', NULL, NULL, '\x', 8574148090450432725);
INSERT INTO switchback.changes VALUES (2, 12, 0, 7, 5, '\x74000000000000002464363062353066332d333764392d353831652d626135342d313433343732303832343236', NULL, NULL, NULL, '\x3573f7a6de3a2b2b8634791f', '\x6f4eee45c55d4b3ed77783761f269555', NULL, NULL, NULL, 4420870581612992958);
INSERT INTO switchback.ids VALUES (1, '1', 2, '\x74000000000000002430303030303030302d303030302d343030302d383030302d303030303030303030303031', 0, '\xe802b454d41138075c150e7a752d0c24', '\x00015307179223ff73c700028c53277d1826488000031b16b1df538ba12d00047879538db201a2c500052e4fb37a4b04ca43', 2, 6);
INSERT INTO switchback.ids VALUES (1, '2', 2, '\x74000000000000002436623364326464612d363738612d356538652d626163312d383137646231643065666162', 0, '\xb7053f78bdd13f471d00434a3501e3b2', '\x00019e702c1d8e5fe1de00021f5ec691a2bb271400032226cc57be7de8f20004aa95763604c2bfad00054ec27c961aed2c66', 2, 7);
INSERT INTO switchback.ids VALUES (1, '3', 2, '\x74000000000000002464303235633639352d346232372d356663622d623365312d313761383335396431396431', 0, '\xe9b4018ed0f4a86b4f6e8c6e8faed105', '\x0001daac11524dbeed1c0002b682ffafec350d7b00036e17339fdea5b694000459be2fc1f6a6f10b00054ec27c961aed2c66', 2, 8);
INSERT INTO switchback.ids VALUES (1, '4', 2, '\x74000000000000002436623333383338652d396630362d353438302d393133322d623234383139626435363764', 0, '\xb753dfb1942cd0206ab0e1304376c00f', '\x00017c305cbfe771cd840002c2a1b7e8dcf88bd400031b16b1df538ba12d000482051d11a894eaaf00051b16b1df538ba12d', 2, 9);
INSERT INTO switchback.ids VALUES (1, '5', 2, '\x74000000000000002435303330383835362d646431612d353932612d386130372d626439663033643366613666', 0, '\x289bb269fa823b0f8e4160d6a8f7d3b9', '\x000174dc0b5adb10c8fb00024e7c452e4f62440e00037a90af468ab14fac000416d443e6f5e7739f00054e2042c196c47b35', 2, 10);
INSERT INTO switchback.ids VALUES (4, '00000000-0000-4000-8000-000000000003', 2, '\x74000000000000002430303030303030302d303030302d343030302d383030302d303030303030303030303033', 1, '\x4bf5122f344554c53bde2ebb8cd2b7e3', '\x', 2, 11);
INSERT INTO switchback.lock VALUES (1, 3, NULL, NULL, NULL, NULL);
INSERT INTO switchback.meta VALUES (1);
INSERT INTO switchback.names VALUES (1, 'entity', 'club-export/member');
INSERT INTO switchback.names VALUES (2, 'claim', 'club-export/member');
INSERT INTO switchback.names VALUES (3, 'shape', '{"table":"member","columns":["id","email","name","note","balance","sponsor","tags","updated"],"key":["id"]}');
INSERT INTO switchback.names VALUES (4, 'entity', 'club-export/leaver');
INSERT INTO switchback.names VALUES (5, 'entity', 'club-export/metadata');
INSERT INTO switchback.names VALUES (6, 'claim', 'club-export/log');
INSERT INTO switchback.names VALUES (7, 'shape', '{"table":"log","columns":["id","kind","content"],"key":["id"]}');
INSERT INTO switchback.runs VALUES (1, '01900000-0000-7000-8000-00000000000a', 'fb4a647f9c8549298fb5df70a64fe6e1a6fe0732e99d63b7d88f6027e06bde9b', '/v1/bundle', 'club', 'club-export', 'name = "club"
system = "club-export"
limits.failed_percent = 100
[[entity]]
name = "member"
source = { format = "csv", files = ["members.csv"], key = "id" }
table = "member"
id = { column = "id", from = "uuid" }
match = ["email"]
on_match = "update"
tag = { column = "tags", text = "run:{run}" }
[entity.fields]
email = { from = "email", required = true }
name = { from = "name", required = true }
note = { from = "note", empty = "null" }
balance = { from = "balance", type = "decimal" }
sponsor = { from = "sponsor", ref = "member", late = true, empty = "null" }
updated = { run = "started_at" }
[[entity]]
name = "leaver"
source = { format = "csv", files = ["leavers.csv"], key = "key" }
table = "member"
id = { column = "id", from = "key" }
op = "delete"
target = "key"
[metadata]
table = "log"
id = { column = "id", from = "uuid" }
on_rollback = "keep"
status = "content"
[metadata.fields]
kind = { value = "migration" }
content = { run = "json", type = "text" }
', '{}', '{}', 'rolled-back', 'clerk', NULL, 'host.example', 'postgres://clerk@localhost:5999/club', 'switchback apply 0.1.0', 2, 1717236000000, 1796060269366, '{"created":4,"updated":1,"unchanged":0,"deleted":1,"skipped":{},"failed":0,"not_attempted":0,"drifted":0,"linked":4}', 12, 1, 0, NULL, NULL);
INSERT INTO switchback.runs VALUES (2, '01900000-0000-7000-8000-00000000000b', 'fb4a647f9c8549298fb5df70a64fe6e1a6fe0732e99d63b7d88f6027e06bde9b', '/v1/bundle', 'club', 'club-export', 'name = "club"
system = "club-export"
limits.failed_percent = 100
[[entity]]
name = "member"
source = { format = "csv", files = ["members.csv"], key = "id" }
table = "member"
id = { column = "id", from = "uuid" }
match = ["email"]
on_match = "update"
tag = { column = "tags", text = "run:{run}" }
[entity.fields]
email = { from = "email", required = true }
name = { from = "name", required = true }
note = { from = "note", empty = "null" }
balance = { from = "balance", type = "decimal" }
sponsor = { from = "sponsor", ref = "member", late = true, empty = "null" }
updated = { run = "started_at" }
[[entity]]
name = "leaver"
source = { format = "csv", files = ["leavers.csv"], key = "key" }
table = "member"
id = { column = "id", from = "key" }
op = "delete"
target = "key"
[metadata]
table = "log"
id = { column = "id", from = "uuid" }
on_rollback = "keep"
status = "content"
[metadata.fields]
kind = { value = "migration" }
content = { run = "json", type = "text" }
', '{}', '{}', 'completed', 'clerk', NULL, 'host.example', 'postgres://clerk@localhost:5999/club', 'switchback apply 0.1.0', 2, 1717322400000, 1717322400000, '{"created":4,"updated":1,"unchanged":0,"deleted":1,"skipped":{},"failed":0,"not_attempted":0,"drifted":0,"linked":4}', 12, NULL, 0, NULL, NULL);
ALTER TABLE ONLY club.log
    ADD CONSTRAINT log_pkey PRIMARY KEY (id);
ALTER TABLE ONLY club.member
    ADD CONSTRAINT member_email_key UNIQUE (email);
ALTER TABLE ONLY club.member
    ADD CONSTRAINT member_pkey PRIMARY KEY (id);
ALTER TABLE ONLY public.member
    ADD CONSTRAINT member_email_key UNIQUE (email);
ALTER TABLE ONLY public.member
    ADD CONSTRAINT member_pkey PRIMARY KEY (id);
ALTER TABLE ONLY switchback.audit
    ADD CONSTRAINT audit_pkey PRIMARY KEY (seq);
ALTER TABLE ONLY switchback.batches
    ADD CONSTRAINT batches_pkey PRIMARY KEY (run, no);
ALTER TABLE ONLY switchback.changes
    ADD CONSTRAINT changes_pkey PRIMARY KEY (run, seq);
ALTER TABLE ONLY switchback.failures
    ADD CONSTRAINT failures_pkey PRIMARY KEY (run, batch, no);
ALTER TABLE ONLY switchback.hooks
    ADD CONSTRAINT hooks_pkey PRIMARY KEY (run, no);
ALTER TABLE ONLY switchback.ids
    ADD CONSTRAINT ids_pkey PRIMARY KEY (entity, source);
ALTER TABLE ONLY switchback.kept
    ADD CONSTRAINT kept_pkey PRIMARY KEY (run, seq);
ALTER TABLE ONLY switchback.lock
    ADD CONSTRAINT lock_pkey PRIMARY KEY (id);
ALTER TABLE ONLY switchback.meta
    ADD CONSTRAINT meta_pkey PRIMARY KEY (version);
ALTER TABLE ONLY switchback.names
    ADD CONSTRAINT names_kind_name_key UNIQUE (kind, name);
ALTER TABLE ONLY switchback.names
    ADD CONSTRAINT names_pkey PRIMARY KEY (id);
ALTER TABLE ONLY switchback.runs
    ADD CONSTRAINT runs_id_key UNIQUE (id);
ALTER TABLE ONLY switchback.runs
    ADD CONSTRAINT runs_pkey PRIMARY KEY (seq);
CREATE INDEX ids_target ON switchback.ids USING btree (claim, target);
ALTER TABLE ONLY club.member
    ADD CONSTRAINT member_sponsor_fkey FOREIGN KEY (sponsor) REFERENCES club.member(id);
