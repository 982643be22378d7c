-- What an application would ask for row by row.

CREATE FUNCTION price(product int) RETURNS numeric LANGUAGE concresce STABLE SET concresce.server = 'far'
	AS $$ SELECT p.amount FROM prices p WHERE p.product_id = product $$;
CREATE FUNCTION in_stock(product int) RETURNS bigint LANGUAGE concresce STABLE SET concresce.server = 'far'
	AS $$ SELECT sum(s.quantity) FROM stocks s WHERE s.product_id = product $$;
CREATE FUNCTION in_stock(product int, place text) RETURNS int LANGUAGE concresce STABLE SET concresce.server = 'far'
	AS $$ SELECT s.quantity FROM stocks s WHERE s.product_id = product AND s.warehouse = place $$;
CREATE FUNCTION points(customer int) RETURNS int LANGUAGE concresce STABLE SET concresce.server = 'far'
	AS $$ SELECT c.points FROM customers c WHERE c.user_id = customer $$;
CREATE FUNCTION level(customer int) RETURNS text LANGUAGE concresce STABLE SET concresce.server = 'far'
	AS $$ SELECT c.level FROM customers c WHERE c.user_id = customer $$;
CREATE FUNCTION blocked(customer int) RETURNS bool LANGUAGE concresce STABLE SET concresce.server = 'far'
	AS $$ SELECT c.blocked FROM customers c WHERE c.user_id = customer $$;
CREATE FUNCTION rate(code text) RETURNS numeric LANGUAGE concresce STABLE SET concresce.server = 'far'
	AS $$ SELECT r.rate FROM rates r WHERE r.currency = code $$;
CREATE FUNCTION stocks(product int) RETURNS TABLE (warehouse text, quantity int) LANGUAGE concresce STABLE
	SET concresce.server = 'far'
	AS $$ SELECT s.warehouse, s.quantity FROM stocks s WHERE s.product_id = product ORDER BY s.warehouse $$;
CREATE FUNCTION delivery(ord int, OUT carrier text, OUT days int) LANGUAGE concresce STABLE
	SET concresce.server = 'far'
	AS $$ SELECT d.carrier, d.days FROM deliveries d WHERE d.order_id = ord $$;

-- computed columns, as PostgREST and Hasura call functions of a table's rows
CREATE FUNCTION points(u users) RETURNS int LANGUAGE sql STABLE AS $$ SELECT points(u.id) $$;
CREATE FUNCTION price(p products) RETURNS numeric LANGUAGE sql STABLE AS $$ SELECT price(p.id) $$;
CREATE VIEW products_with_price AS SELECT p.*, price(p.id) AS amount, in_stock(p.id) AS available FROM products p;
