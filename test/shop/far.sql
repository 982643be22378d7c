-- What the shop has on another server.

CREATE TABLE prices (product_id int PRIMARY KEY, amount numeric NOT NULL);
CREATE TABLE stocks (product_id int, warehouse text, quantity int NOT NULL, PRIMARY KEY (product_id, warehouse));
CREATE TABLE customers (user_id int PRIMARY KEY, points int NOT NULL, level text NOT NULL, blocked bool NOT NULL);
CREATE TABLE rates (currency text PRIMARY KEY, rate numeric NOT NULL);
CREATE TABLE deliveries (order_id int PRIMARY KEY, carrier text NOT NULL, days int NOT NULL);

INSERT INTO prices SELECT i, i * 1.25 FROM generate_series(1, 500) i;
INSERT INTO stocks SELECT i, w, i % 9 FROM generate_series(1, 500) i, unnest(ARRAY['north', 'south']) w;
INSERT INTO customers SELECT i, i * 10, (ARRAY['gold', 'silver', 'none'])[1 + i % 3], i % 50 = 0
FROM generate_series(1, 390) i;
INSERT INTO rates VALUES ('EUR', 1), ('USD', 1.1), ('SEK', 11);
INSERT INTO deliveries SELECT i, (ARRAY['post', 'bike'])[1 + i % 2], i % 6 FROM generate_series(1, 700) i;
ANALYZE;
