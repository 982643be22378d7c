-- All that the catalogs say of the extension and its members, a line each, but
-- for numbers that differ from one database to the next.
WITH extension AS (SELECT * FROM pg_extension WHERE extname = 'concresce'),
member AS (
	SELECT d.classid, d.objid, i.type || ' ' || i.identity AS name
	FROM extension e, pg_depend d, pg_identify_object(d.classid, d.objid, d.objsubid) i
	WHERE d.refclassid = 'pg_extension'::regclass AND d.refobjid = e.oid AND d.deptype = 'e'
),
ground AS (
	SELECT * FROM member
	UNION ALL SELECT 'pg_extension'::regclass, oid, 'extension' FROM extension
	UNION ALL SELECT 'pg_namespace'::regclass, extnamespace, 'schema' FROM extension
),
described AS (
	SELECT name, 'row' AS what, to_jsonb(p)
		- '{oid,pronamespace,proowner,prorettype,proargtypes,proallargtypes,proacl,proargdefaults,prosqlbody,prolang,prosupport}'::text[]
		|| jsonb_build_object('namespace', pronamespace::regnamespace, 'owner', proowner::regrole,
			'definition', pg_get_functiondef(p.oid)) AS value
	FROM member, pg_proc p WHERE classid = 'pg_proc'::regclass AND p.oid = objid
	UNION ALL
	SELECT name, 'row', to_jsonb(c)
		- '{oid,relnamespace,relowner,reltype,reloftype,relfilenode,reltoastrelid,relacl}'::text[]
		|| jsonb_build_object('namespace', relnamespace::regnamespace, 'owner', relowner::regrole,
			'definition', pg_get_viewdef(c.oid))
	FROM member, pg_class c WHERE classid = 'pg_class'::regclass AND c.oid = objid
	UNION ALL
	SELECT name, 'column ' || attnum, to_jsonb(a) - '{attrelid,atttypid,attacl,attoptions}'::text[]
		|| jsonb_build_object('type', format_type(atttypid, atttypmod))
	FROM member, pg_attribute a WHERE classid = 'pg_class'::regclass AND a.attrelid = objid
	UNION ALL
	SELECT name, 'row', to_jsonb(t)
		- '{oid,typnamespace,typowner,typrelid,typelem,typarray,typbasetype,typacl}'::text[]
		|| jsonb_build_object('namespace', typnamespace::regnamespace, 'owner', typowner::regrole,
			'relation', typrelid::regclass, 'element', typelem::regtype, 'base', typbasetype::regtype)
	FROM member, pg_type t WHERE classid = 'pg_type'::regclass AND t.oid = objid
	UNION ALL
	SELECT name, 'row', to_jsonb(l)
		- '{oid,lanowner,lanplcallfoid,laninline,lanvalidator,lanacl}'::text[]
		|| jsonb_build_object('owner', lanowner::regrole, 'handler', lanplcallfoid::regprocedure,
			'inline', laninline::regprocedure, 'validator', lanvalidator::regprocedure)
	FROM member, pg_language l WHERE classid = 'pg_language'::regclass AND l.oid = objid
	UNION ALL
	SELECT name, 'row', to_jsonb(f) - '{oid,fdwowner,fdwhandler,fdwvalidator,fdwacl}'::text[]
		|| jsonb_build_object('owner', fdwowner::regrole, 'handler', fdwhandler::regprocedure,
			'validator', fdwvalidator::regprocedure)
	FROM member, pg_foreign_data_wrapper f WHERE classid = 'pg_foreign_data_wrapper'::regclass AND f.oid = objid
	UNION ALL
	SELECT name, 'row', to_jsonb(e) - '{oid,extowner,extnamespace}'::text[]
		|| jsonb_build_object('owner', extowner::regrole, 'namespace', extnamespace::regnamespace)
	FROM ground, extension e WHERE classid = 'pg_extension'::regclass
	UNION ALL
	SELECT name, 'comment ' || objsubid, to_jsonb(description)
	FROM ground JOIN pg_description d ON d.classoid = classid AND d.objoid = objid
	UNION ALL
	SELECT name, 'initial privileges ' || objsubid,
		to_jsonb(ARRAY(SELECT a::text FROM unnest(initprivs) a ORDER BY a::text))
	FROM ground JOIN pg_init_privs p ON p.classoid = classid AND p.objoid = objid
	UNION ALL
	SELECT name, 'privileges', to_jsonb(ARRAY(SELECT a::text FROM unnest(acl) a ORDER BY a::text))
	FROM ground, LATERAL (
		SELECT proacl FROM pg_proc WHERE classid = 'pg_proc'::regclass AND oid = objid
		UNION ALL SELECT relacl FROM pg_class WHERE classid = 'pg_class'::regclass AND oid = objid
		UNION ALL SELECT typacl FROM pg_type WHERE classid = 'pg_type'::regclass AND oid = objid
		UNION ALL SELECT lanacl FROM pg_language WHERE classid = 'pg_language'::regclass AND oid = objid
		UNION ALL SELECT fdwacl FROM pg_foreign_data_wrapper
			WHERE classid = 'pg_foreign_data_wrapper'::regclass AND oid = objid
		UNION ALL SELECT nspacl FROM pg_namespace WHERE classid = 'pg_namespace'::regclass AND oid = objid
	) p(acl)
	UNION ALL
	SELECT name, 'depends on ' || pg_describe_object(refclassid, refobjid, refobjsubid), to_jsonb(deptype)
	FROM ground g JOIN pg_depend d USING (classid, objid)
)
SELECT name || ': ' || what || ': ' || coalesce(value::text, 'none')
FROM described
UNION ALL
SELECT name || ': ' || count(*) FROM member GROUP BY name
ORDER BY 1;
