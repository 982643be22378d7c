--
-- The batch node: several calls in one row are under way at the same time.
--
\getenv srcdir PG_ABS_SRCDIR
\set play :srcdir '/lib/play.sql'
\set ECHO none
\i :play
\set ECHO all
CREATE FUNCTION gated(a int) RETURNS text LANGUAGE concresce STABLE AS 'SELECT split_part(gated(gated.a), '','', 1)';
CREATE FUNCTION other(a int) RETURNS text LANGUAGE concresce STABLE AS 'SELECT split_part(gated(other.a), '','', 1)';
CREATE TABLE things AS SELECT i AS id, i AS k FROM generate_series(1, 3) i;
ALTER TABLE things ADD PRIMARY KEY (id);
CREATE FUNCTION both_of(x int) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
  a text; b text;
BEGIN
  SELECT gated(x), other(x) INTO STRICT a, b;
  RETURN a || b;
END $$;

CALL play('close', 'a> SELECT q::text FROM (SELECT gated(1), other(2) OFFSET 0) q', '2 in flight', 'open', 'a');
CALL play('close', 'a> SELECT gated(k) || other(k) FROM things WHERE id = 1', '2 in flight', 'open', 'a');
CALL play('close', 'a> SELECT both_of(1)', '2 in flight', 'open', 'a');
CALL play('close', 'a> INSERT INTO things VALUES (4, length(gated(1)) + length(other(2))) RETURNING id', '2 in flight', 'open', 'a');
CALL play('close', 'a> SELECT json_build_object(''a'', gated(1), ''b'', other(2))', '2 in flight', 'open', 'a');
-- one after the other, since the second is asked only if the first is NULL
CALL play('close', 'a> SELECT coalesce(gated(1), other(2))', '1 in flight', 'open', 'a');

DROP TABLE things;
DROP FUNCTION gated, other, both_of;
CALL clean_up();
