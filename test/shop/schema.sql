-- A shop, as applications see it. What costs money, is in stock or is known of a
-- customer is on another server; test/shop/far.sql has that.

CREATE TABLE users (id int PRIMARY KEY, email text NOT NULL, name text NOT NULL, country text NOT NULL,
	joined date NOT NULL, referrer_id int REFERENCES users);
CREATE TABLE categories (id int PRIMARY KEY, parent_id int REFERENCES categories, name text NOT NULL);
CREATE TABLE products (id int PRIMARY KEY, category_id int NOT NULL REFERENCES categories, name text NOT NULL,
	active bool NOT NULL);
CREATE TABLE orders (id int PRIMARY KEY, user_id int NOT NULL REFERENCES users, status text NOT NULL,
	placed date NOT NULL, currency text NOT NULL);
CREATE TABLE items (id int PRIMARY KEY, order_id int NOT NULL REFERENCES orders,
	product_id int NOT NULL REFERENCES products, quantity int NOT NULL);
CREATE TABLE reviews (id int PRIMARY KEY, product_id int NOT NULL REFERENCES products,
	user_id int NOT NULL REFERENCES users, stars int NOT NULL);
CREATE TABLE visits (user_id int NOT NULL, product_id int NOT NULL, day date NOT NULL) PARTITION BY RANGE (day);
CREATE TABLE priced (order_id int, total numeric);

SELECT format('CREATE TABLE visits_%s PARTITION OF visits FOR VALUES FROM (%L) TO (%L)',
	i, date '2026-01-01' + 10 * i, date '2026-01-01' + 10 * i + 10)
FROM generate_series(0, 19) i \gexec

INSERT INTO users SELECT i, 'user' || i || '@example.com', 'User ' || i, (ARRAY['DE', 'FR', 'PT', 'SE'])[1 + i % 4],
	date '2025-01-01' + i % 300, nullif(i / 10, 0)
FROM generate_series(1, 400) i;
INSERT INTO categories SELECT i, nullif(i / 4, 0), 'category ' || i FROM generate_series(1, 20) i;
INSERT INTO products SELECT i, 1 + i % 20, 'product ' || i, i % 7 > 0 FROM generate_series(1, 500) i;
INSERT INTO orders SELECT i, 1 + i * 7 % 400, (ARRAY['open', 'paid', 'sent', 'returned'])[1 + i % 4],
	date '2026-01-01' + i % 200, (ARRAY['EUR', 'EUR', 'USD', 'SEK'])[1 + i % 4]
FROM generate_series(1, 700) i;
INSERT INTO items SELECT i, 1 + i % 700, 1 + i * 11 % 500, 1 + i % 3 FROM generate_series(1, 1500) i;
INSERT INTO reviews SELECT i, 1 + i * 3 % 500, 1 + i * 5 % 400, 1 + i % 5 FROM generate_series(1, 600) i;
INSERT INTO visits SELECT 1 + i % 400, 1 + i * 13 % 500, date '2026-01-01' + i % 200 FROM generate_series(1, 600) i;

CREATE INDEX ON orders (user_id);
CREATE INDEX ON items (order_id);
CREATE INDEX ON items (product_id);
CREATE INDEX ON reviews (product_id);
CREATE INDEX ON products (category_id);
ANALYZE;
