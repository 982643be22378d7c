-- What was done in a round, and what of it is not as it should be.
CREATE SCHEMA chaos;
CREATE SCHEMA own;
GRANT USAGE, CREATE ON SCHEMA own TO app;

-- as the sessions know it
CREATE TABLE chaos.items (first bigint, count int, place text, lookup text, known text, flushed_us bigint);
CREATE TABLE chaos.law (place text, lookup text, sure bigint, unsure bigint);
-- as the far servers have it
CREATE TABLE chaos.arrived (id bigint, at timestamptz);
CREATE TABLE chaos.copies (id bigint);
-- by the log, discarded
CREATE TABLE chaos.named (id bigint);

CREATE TABLE chaos.known (id bigint, lookup text, known text, flushed_us bigint);
CREATE TABLE chaos.arrivals (id bigint, n bigint, first_us numeric);

CREATE PROCEDURE chaos.prepare() LANGUAGE plpgsql AS $$
BEGIN
	TRUNCATE chaos.known, chaos.arrivals;
	INSERT INTO chaos.known
		SELECT id, place || '.' || lookup, known, flushed_us
		FROM chaos.items, generate_series(first, first + count - 1) id;
	INSERT INTO chaos.arrivals
		SELECT id, count(*), extract(epoch FROM min(at)) * 1000000 FROM chaos.arrived WHERE id > 0 GROUP BY id;
	ANALYZE chaos.known, chaos.arrivals, committed;
END $$;

CREATE VIEW chaos.misjudged AS
SELECT k.* FROM chaos.known k LEFT JOIN committed c USING (id)
WHERE k.known = 'committed' AND c.id IS NULL OR k.known = 'rolled back' AND c.id IS NOT NULL OR k.known = 'open';

CREATE VIEW chaos.ghosts AS
SELECT a.*, k.lookup, k.known FROM chaos.arrivals a LEFT JOIN committed c USING (id) LEFT JOIN chaos.known k USING (id)
WHERE c.id IS NULL;

CREATE VIEW chaos.late AS
SELECT k.*, a.first_us FROM chaos.known k LEFT JOIN chaos.arrivals a USING (id)
WHERE k.flushed_us > 0 AND (a.id IS NULL OR a.first_us > k.flushed_us);

CREATE VIEW chaos.miswritten AS
SELECT k.id, k.lookup, k.known, coalesce(c.n, 0) AS copies
FROM chaos.known k LEFT JOIN (SELECT id, count(*) AS n FROM chaos.copies GROUP BY id) c USING (id)
WHERE k.known = 'written' AND c.n IS DISTINCT FROM 1 OR k.known = 'not written' AND c.n > 0 OR c.n > 1;

CREATE VIEW chaos.missing AS
SELECT k.* FROM chaos.known k JOIN committed USING (id) LEFT JOIN chaos.arrivals a USING (id)
WHERE a.id IS NULL AND id NOT IN (SELECT id FROM chaos.named);

CREATE VIEW chaos.missing_by_lookup AS
SELECT lookup, count(*) AS n FROM chaos.missing GROUP BY lookup;

CREATE VIEW chaos.counted AS
SELECT split_part(function::text, '(', 1) AS lookup, sum(calls) AS calls,
	sum(calls - errors - cancelled - timeouts - active - queued) AS answered
FROM concresce.stats GROUP BY 1;

-- A role has 256 rows of the statistics, and functions that sessions make and drop
-- (own.f1 and on) take one each.  So those of a dropped server four, which nobody
-- uses any more, may be given up, and what they have counted: no more may be there.
CREATE VIEW chaos.unlawful AS
SELECT l.place || '.' || l.lookup AS lookup, l.sure, l.unsure, coalesce(c.answered, 0) AS answered
FROM chaos.law l LEFT JOIN chaos.counted c ON c.lookup = l.place || '.' || l.lookup
WHERE l.lookup NOT LIKE 'ev%' AND coalesce(c.answered, 0)
	NOT BETWEEN CASE l.place WHEN 'four' THEN 0 ELSE l.sure END AND l.sure + l.unsure;

CREATE VIEW chaos.tally AS
SELECT format('%s calls were answered, %s of them for sure', sum(c.answered), sum(l.sure))
FROM chaos.law l JOIN chaos.counted c ON c.lookup = l.place || '.' || l.lookup
WHERE l.lookup NOT LIKE 'ev%';

CREATE VIEW chaos.miscounted AS
SELECT lookup, c.calls, k.n AS committed
FROM (SELECT * FROM chaos.counted WHERE lookup LIKE '%.ev%') c
	FULL JOIN (SELECT lookup, count(*) AS n FROM chaos.known JOIN committed USING (id) GROUP BY lookup) k USING (lookup)
WHERE coalesce(c.calls, 0) <> coalesce(k.n, 0) AND NOT (lookup LIKE 'four.%' AND coalesce(c.calls, 0) < k.n);

CREATE VIEW chaos.summary AS
SELECT format('%s items enqueued, %s committed, %s arrived (%s of them more than once), %s discarded one by one',
	(SELECT count(*) FROM chaos.known WHERE lookup NOT LIKE '%.wr'), (SELECT count(*) FROM committed),
	count(*), count(*) FILTER (WHERE n > 1), (SELECT count(*) FROM chaos.named))
FROM chaos.arrivals;

CREATE PROCEDURE replace_lookups(place text, comment text) LANGUAGE plpgsql AS $$
DECLARE
	l lookups;
BEGIN
	FOR l IN SELECT * FROM lookups LOOP
		EXECUTE format('CREATE OR REPLACE FUNCTION %I.%s LANGUAGE concresce SET concresce.server = %L AS %L',
			place, l.head, CASE WHEN place = 'here' THEN '' ELSE place END, l.body || comment);
	END LOOP;
END $$;
