-- Takes away what setup.sql has made.

\connect postgres
DROP DATABASE IF EXISTS example_shop WITH (FORCE);
DROP DATABASE IF EXISTS example_crm WITH (FORCE);
DROP ROLE IF EXISTS example_reader;
