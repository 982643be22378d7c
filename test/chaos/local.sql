-- The server under test: lookups of every kind, the same on each far server
-- and in this database. Variables: port_one, port_two, port_three, port_four,
-- port_bad.
CREATE EXTENSION concresce;
CREATE ROLE app LOGIN;
CREATE ROLE app_a;
CREATE ROLE app_b;
CREATE ROLE app_revoked;
GRANT app_a, app_b, app_revoked TO app;
GRANT pg_read_all_stats TO app;

CREATE SERVER one FOREIGN DATA WRAPPER concresce
	OPTIONS (host '127.0.0.1', port :'port_one', dbname 'postgres', connect_timeout '3');
CREATE SERVER two FOREIGN DATA WRAPPER concresce
	OPTIONS (host '127.0.0.1', port :'port_two', dbname 'postgres', connect_timeout '3');
CREATE SERVER three FOREIGN DATA WRAPPER concresce
	OPTIONS (host '127.0.0.1', port :'port_three', dbname 'postgres', connect_timeout '3');
CREATE SERVER bad FOREIGN DATA WRAPPER concresce
	OPTIONS (host '127.0.0.1', port :'port_bad', dbname 'postgres', connect_timeout '3');
CREATE USER MAPPING FOR PUBLIC SERVER one OPTIONS (user 'reader', password 'secret');
CREATE USER MAPPING FOR PUBLIC SERVER two OPTIONS (user 'reader', password 'secret');
CREATE USER MAPPING FOR PUBLIC SERVER three OPTIONS (user 'reader', password 'secret');
CREATE USER MAPPING FOR PUBLIC SERVER bad OPTIONS (user 'reader', password 'secret');
GRANT USAGE ON FOREIGN SERVER one, two, three, bad TO PUBLIC;

-- what committed transactions say that they have enqueued
CREATE TABLE committed (id bigint NOT NULL);
GRANT INSERT ON committed TO PUBLIC;

-- of local lookups
CREATE TABLE who AS SELECT 'here'::text AS name;
CREATE TABLE items (id int PRIMARY KEY, v text NOT NULL);
INSERT INTO items SELECT i, 'v' || i FROM generate_series(1, 10000) i;
CREATE TABLE events (id bigint NOT NULL, at timestamptz NOT NULL DEFAULT clock_timestamp());
CREATE TABLE writes (id bigint NOT NULL);
GRANT SELECT ON who, items TO PUBLIC;
GRANT SELECT, INSERT ON events, writes TO PUBLIC;
CREATE TABLE keys AS SELECT i AS id, 1 + (i * 7919) % 10000 AS k FROM generate_series(1, 3000) i;
GRANT SELECT ON keys TO PUBLIC;
ANALYZE;

CREATE TABLE lookups (head text, body text);
INSERT INTO lookups VALUES
	('v(n int) RETURNS text STABLE',
	 $$SELECT w.name || ':' || i.v FROM public.items i, public.who w WHERE i.id = n$$),
	('num(n bigint) RETURNS numeric STABLE STRICT',
	 $$SELECT n::numeric * 7 + 0.5$$),
	('rec(n int, OUT a int, OUT b text) STABLE',
	 $$SELECT i.id, w.name || i.v FROM public.items i, public.who w WHERE i.id = n$$),
	('tags(n int) RETURNS SETOF text STABLE',
	 $$SELECT w.name || n || '.' || g FROM public.who w, generate_series(1, n % 5) g ORDER BY g$$),
	('anyrec(n int) RETURNS record STABLE',
	 $$SELECT i.id AS a, i.v AS b FROM public.items i WHERE i.id = n$$),
	('sc(n int) RETURNS int STABLE',
	 $$SELECT id, id * 3 FROM public.items WHERE id = ANY (collect(n))$$),
	('dbl(n bigint) RETURNS bigint STABLE',
	 $$SELECT x * 2 FROM unnest(collect(n)) WITH ORDINALITY AS u(x, o) ORDER BY o$$),
	('slow(n int) RETURNS text STABLE',
	 $$SELECT w.name || ':s' || n FROM public.who w, pg_sleep(0.02)$$),
	('dv(n int) RETURNS int STABLE SET concresce.isolate_errors = on',
	 $$SELECT 1000 / (n % 10)$$),
	('need(n int) RETURNS int STABLE SET concresce.on_missing = ''error''',
	 $$SELECT i.id FROM public.items i WHERE i.id = n$$),
	('big(n int) RETURNS text STABLE',
	 $$SELECT repeat(md5(n::text), 3000)$$),
	('arr(a int[], d date, j jsonb) RETURNS text STABLE',
	 $$SELECT array_to_string(a, ',') || to_char(d, ' YYYY-MM-DD ') || (j ->> 'k')$$),
	('keyed(x text) RETURNS text STABLE SET concresce.key = ''lower(x)''',
	 $$SELECT w.name || ':' || lower(x) FROM public.who w$$),
	('definer(n int) RETURNS text STABLE SECURITY DEFINER',
	 $$SELECT w.name || ':d' || n FROM public.who w$$),
	('wr(n bigint) RETURNS bigint VOLATILE',
	 $$INSERT INTO public.writes SELECT unnest(collect(n)) RETURNING id, id + 1$$),
	('ev(n bigint) RETURNS void VOLATILE',
	 $$INSERT INTO public.events (id) SELECT unnest(collect(n))$$),
	('ev_forced(n bigint) RETURNS void VOLATILE',
	 $$INSERT INTO public.events (id) SELECT unnest(collect(n))$$),
	('ev_revoked(n bigint) RETURNS void VOLATILE',
	 $$INSERT INTO public.events (id) SELECT unnest(collect(n))$$);

CREATE PROCEDURE make_lookups(place text, identity text) LANGUAGE plpgsql AS $make$
DECLARE
	l lookups;
BEGIN
	EXECUTE format('CREATE SCHEMA %I', place);
	EXECUTE format('GRANT USAGE ON SCHEMA %I TO PUBLIC', place);
	FOR l IN SELECT * FROM lookups LOOP
		EXECUTE format('CREATE FUNCTION %I.%s LANGUAGE concresce SET concresce.server = %L AS %L',
			place, l.head, CASE WHEN place = 'here' THEN '' ELSE place END, l.body);
	END LOOP;
	EXECUTE format('REVOKE ALL ON FUNCTION %I.ev_revoked FROM PUBLIC', place);
	EXECUTE format('GRANT EXECUTE ON FUNCTION %I.ev_revoked TO app_revoked', place);

	-- many calls in one statement, each by itself
	EXECUTE format($$
		CREATE FUNCTION %1$I.drum(start int, n int) RETURNS int LANGUAGE plpgsql AS $drum$
		DECLARE
			k int;
		BEGIN
			FOR i IN 1 .. n LOOP
				k := 1 + (start + i * 7919) %% 10000;
				IF %1$I.v(k) IS DISTINCT FROM %2$L || k THEN
					RAISE 'wrong row of %%', k USING ERRCODE = 'WRONG';
				END IF;
			END LOOP;
			RETURN n;
		END $drum$ $$, place, identity || ':v');
	EXECUTE format($$
		CREATE FUNCTION %1$I.careful(start int, n int) RETURNS int LANGUAGE plpgsql AS $careful$
		DECLARE
			k int;
		BEGIN
			FOR i IN 1 .. n LOOP
				k := start + i * 3;
				BEGIN
					IF %1$I.dv(k) IS DISTINCT FROM 1000 / nullif(k %% 10, 0) THEN
						RAISE 'wrong row of %%', k USING ERRCODE = 'WRONG';
					END IF;
				EXCEPTION WHEN division_by_zero THEN
					IF k %% 10 <> 0 THEN
						RAISE 'wrong error for %%', k USING ERRCODE = 'WRONG';
					END IF;
				END;
			END LOOP;
			RETURN n;
		END $careful$ $$, place);
END $make$;
CALL make_lookups('here', 'here');
CALL make_lookups('one', 'far1');
CALL make_lookups('two', 'far2');
CALL make_lookups('three', 'far2');
CALL make_lookups('bad', 'far1');

CREATE TABLE settings AS SELECT :'port_four'::text AS port_four;
CREATE PROCEDURE make_server_four() LANGUAGE plpgsql AS $$
BEGIN
	EXECUTE format($f$ CREATE SERVER four FOREIGN DATA WRAPPER concresce
		OPTIONS (host '127.0.0.1', port %L, dbname 'postgres') $f$, (SELECT port_four FROM settings));
	CREATE USER MAPPING FOR PUBLIC SERVER four OPTIONS (user 'reader', password 'secret');
	GRANT USAGE ON FOREIGN SERVER four TO PUBLIC;
END $$;
CALL make_server_four();
CALL make_lookups('four', 'far1');
