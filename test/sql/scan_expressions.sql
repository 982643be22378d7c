--
-- The batch node: calls in every kind of expression.
--
\getenv srcdir PG_ABS_SRCDIR
\set scan :srcdir '/lib/scan.sql'
\set ECHO none
\i :scan
\set ECHO all
CREATE FUNCTION sum_of(a int, b int) RETURNS int LANGUAGE concresce STABLE STRICT AS 'SELECT sum_of.a + sum_of.b';
CREATE FUNCTION truth(a int) RETURNS bool LANGUAGE concresce STABLE AS 'SELECT truth.a % 2 = 1';
CREATE OPERATOR @+ (LEFTARG = int, RIGHTARG = int, FUNCTION = sum_of);
CREATE OPERATOR !!! (RIGHTARG = int, FUNCTION = truth);
CREATE DOMAIN small AS int CHECK (VALUE < 1000);
CREATE TYPE pair AS (a int, b text);
CREATE TYPE pair2 AS (a bigint, b text);

-- XML
SELECT shape('SELECT xmlelement(NAME x, xmlattributes(noted(k) AS n, label(k) AS l), score(k), label(id)) FROM few WHERE id < 5');
SELECT shape('SELECT xmlforest(noted(k) AS n, label(k) AS l) FROM few WHERE id < 5');
SELECT shape('SELECT xmlconcat(xmlelement(NAME a, noted(k)), xmlelement(NAME b, score(id))) FROM few WHERE id < 4');
SELECT shape('SELECT xmlserialize(CONTENT xmlelement(NAME a, noted(k)) AS text), xmlparse(CONTENT label(k))::text, xmlelement(NAME a, label(k)) IS DOCUMENT FROM few WHERE id < 4');
SELECT shape('SELECT xmlelement(NAME x, picky(k)) FROM few');
-- the pairs of a comparison are evaluated until one differs
SELECT shape('SELECT id, (id, noted(k)) < (3, 40), (noted(id), id) = (10, 1) FROM few WHERE id < 6');
SELECT shape('SELECT id FROM few WHERE (k, noted(id), id) >= (2, 20, 3)');
SELECT shape('SELECT id FROM few WHERE (k, picky(k)) < (2, 20)');
SELECT shape('SELECT id FROM few WHERE (k, picky(k)) > (13, 20)');
-- others
SELECT shape('SELECT greatest(noted(k), 20, score(id)), ARRAY[noted(k), id], ROW(noted(k), label(k))::pair::text, noted(k)::small, noted(k)::text, noted(k) IS NULL, truth(k) IS NOT TRUE, nullif(noted(k), 20), noted(k) IS DISTINCT FROM 20, noted(k) = ANY (ARRAY[20, id]), ARRAY[noted(k)]::bigint[], label(k) COLLATE "C", (ARRAY[1, 2])[score(k) / 10], current_date IS NULL, (ROW(noted(k), label(k))::pair).b FROM few WHERE id < 3');
-- an operator stands for the call, alone, in others, in conditions and aggregates
SELECT shape('SELECT id, id @+ k, (id @+ k) @+ 1, !!! k FROM few');
SELECT shape('SELECT id FROM few WHERE !!! k AND id @+ k > 3');
SELECT shape('SELECT grp, sum(id @+ k) FILTER (WHERE !!! id) FROM few GROUP BY grp ORDER BY grp');
SELECT shape('SELECT f.id, q.x FROM few f, LATERAL (SELECT f.k @+ 1 AS x OFFSET 0) q ORDER BY f.id');
SELECT shape('SELECT f.id, g.id FROM few f JOIN few g ON f.k = g.k AND f.id @+ g.id > 12 ORDER BY 1, 2');
SELECT shape('SELECT 1 @+ 2, 3 @+ 4');
-- where operators are what a node goes by, they stay
CREATE FUNCTION same(a int, b int) RETURNS bool LANGUAGE concresce STABLE AS 'SELECT same.a = same.b';
CREATE OPERATOR ~=~ (LEFTARG = int, RIGHTARG = int, FUNCTION = same);
SELECT shape('SELECT id, k ~=~ id, 3 ~=~ ANY (ARRAY[k, id]) FROM few WHERE id < 4');
SELECT shape('SELECT id FROM few WHERE k ~=~ (SELECT 3)');
-- the condition of an outer join, over its inner side; rows that are locked below an aggregate
SELECT shape('SELECT f.id, g.id FROM few f LEFT JOIN few g ON f.id = g.k AND noted(g.id) > 30 ORDER BY 1, 2');
SELECT shape('SELECT sum(noted(id)) FROM (SELECT id FROM few FOR UPDATE) q');

-- JSON, where there is any of it
CREATE FUNCTION json_shape(query text, since int) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
  nodes int; lines text[];
BEGIN
  IF current_setting('server_version_num')::int < since * 10000 THEN
    RETURN 'as it should be';
  END IF;
  SELECT count(*) INTO nodes FROM plan_of(query, '') l WHERE l ~ 'ConcresceBatch';
  lines := ARRAY(SELECT shape(query, options => NULL));
  RETURN CASE WHEN nodes = 1 AND lines::text !~ '!!' AND lines::text ~ 'the same by plain calls' AND lines::text !~ 'plainly' THEN 'as it should be'
    ELSE nodes || ' batch nodes: ' || lines::text END;
END $$;
SELECT json_shape('SELECT json_object(''n'': noted(k), ''l'': label(k) ABSENT ON NULL) FROM few', 16);
SELECT json_shape('SELECT json_object(''n'': noted(k), ''m'': json_object(label(id): score(id)) RETURNING jsonb) FROM few WHERE id <> 7', 16);
SELECT json_shape('SELECT json_array(noted(k), label(k) NULL ON NULL RETURNING text) FROM few', 16);
SELECT json_shape('SELECT json_arrayagg(noted(k) ORDER BY id), json_objectagg(id: label(k)) FROM few', 16);
SELECT json_shape('SELECT label(k) IS JSON, json_array(noted(k)) IS JSON ARRAY FROM few', 16);
SELECT json_shape('SELECT json_scalar(noted(k)), json_serialize(json_array(noted(k))), json(json_array(label(k))::text) FROM few', 17);
SELECT json_shape('SELECT json_value(jsonb_build_array(noted(k)), ''$[0]'' RETURNING int), json_exists(jsonb_build_array(label(k)), ''$[0]'') FROM few', 17);
SELECT json_shape('SELECT json_query(CASE WHEN k = 2 THEN NULL ELSE jsonb ''[1]'' END, ''$[$i]'' PASSING noted(k) - 10 AS i) FROM few WHERE k < 3', 17);
SELECT json_shape('SELECT json_value(jsonb ''"x"'', ''$'' RETURNING int DEFAULT -1 ON ERROR), json_value(to_jsonb(noted(k)), ''$.a'' RETURNING int DEFAULT -1 ON EMPTY) FROM few', 17);

DROP OPERATOR @+ (int, int);
DROP OPERATOR !!! (NONE, int);
DROP OPERATOR ~=~ (int, int);
DROP FUNCTION sum_of, truth, same, json_shape;
DROP DOMAIN small;
DROP TYPE pair, pair2;
SELECT left_over();
CALL clean_up();
