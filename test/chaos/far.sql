-- One far server. Its name is a part of what its lookups answer.
CREATE TABLE who AS SELECT :'who'::text AS name;
CREATE TABLE items (id int PRIMARY KEY, v text NOT NULL);
INSERT INTO items SELECT i, 'v' || i FROM generate_series(1, 10000) i;
CREATE TABLE events (id bigint NOT NULL, at timestamptz NOT NULL DEFAULT clock_timestamp());
CREATE TABLE writes (id bigint NOT NULL);
ANALYZE;
GRANT SELECT ON who, items TO PUBLIC;
GRANT SELECT, INSERT ON events, writes TO PUBLIC;
