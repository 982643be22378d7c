-- Forty queries as frameworks write them, with lookups in the place of what would
-- be a query for each row in the application. "-- name" begins each. Written for
-- this test, in the manner of what the frameworks log.

-- Django: a list with annotations
SELECT "shop_order"."id", "shop_order"."status", points("shop_order"."user_id") AS "points", level("shop_order"."user_id") AS "level" FROM "orders" "shop_order" ORDER BY "shop_order"."id" ASC;

-- Django: select_related and a page
SELECT "orders"."id", "users"."id", "users"."email", points("users"."id") AS "points" FROM "orders" INNER JOIN "users" ON ("orders"."user_id" = "users"."id") WHERE "orders"."status" = 'paid' ORDER BY "orders"."placed" DESC, "orders"."id" ASC LIMIT 25 OFFSET 50;

-- Django: prefetch_related
SELECT "items"."id", "items"."order_id", "items"."quantity", price("items"."product_id") AS "price" FROM "items" WHERE "items"."order_id" IN (1, 2, 3, 5, 8, 13, 21, 34, 55, 89, 144, 233, 377, 610, 987);

-- Django: a sub-query of another model
SELECT "users"."id", (SELECT SUM((price(U0."product_id") * U0."quantity")) AS "sum" FROM "items" U0 INNER JOIN "orders" U1 ON (U0."order_id" = U1."id") WHERE U1."user_id" = ("users"."id")) AS "spent" FROM "users" WHERE "users"."country" = 'DE' ORDER BY "users"."id" ASC;

-- Django: aggregates with filters
SELECT "orders"."status", COUNT("orders"."id") AS "n", COUNT("orders"."id") FILTER (WHERE level("orders"."user_id") = 'gold') AS "gold", SUM(points("orders"."user_id")) FILTER (WHERE "orders"."placed" >= '2026-03-01'::date) AS "points" FROM "orders" GROUP BY "orders"."status" ORDER BY "orders"."status";

-- Django: Case and When
SELECT "products"."id", CASE WHEN "products"."active" THEN price("products"."id") WHEN "products"."category_id" = 3 THEN 0 ELSE NULL END AS "shown" FROM "products" WHERE NOT (in_stock("products"."id") = 0);

-- Django: a window
SELECT "orders"."id", SUM(points("orders"."user_id")) OVER (PARTITION BY "orders"."currency" ORDER BY "orders"."id" ROWS BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW) AS "running" FROM "orders" ORDER BY "orders"."id";

-- Rails: eager_load
SELECT "orders"."id" AS t0_r0, "orders"."status" AS t0_r1, "items"."id" AS t1_r0, "items"."product_id" AS t1_r1, price("items"."product_id") AS t1_r2 FROM "orders" LEFT OUTER JOIN "items" ON "items"."order_id" = "orders"."id" WHERE "orders"."user_id" = 8 ORDER BY "orders"."id", "items"."id";

-- Rails: a scope that filters
SELECT "products".* FROM "products" WHERE "products"."active" = TRUE AND (price("products"."id") > 500) ORDER BY "products"."id" ASC;

-- Rails: find_each
SELECT "users".*, level("users"."id") AS level FROM "users" WHERE "users"."id" > 100 ORDER BY "users"."id" ASC LIMIT 200;

-- Rails: group and count
SELECT COUNT(*) AS "count_all", level("orders"."user_id") AS "level" FROM "orders" GROUP BY level("orders"."user_id");

-- Rails: distinct pluck
SELECT DISTINCT level("users"."id") FROM "users" WHERE "users"."joined" BETWEEN '2025-02-01' AND '2025-08-31';

-- Rails: the last of each, by a lateral join
SELECT "users"."id", last_order.id AS last_id, last_order.carrier FROM "users" INNER JOIN LATERAL (SELECT o.id, (delivery(o.id)).carrier FROM orders o WHERE o.user_id = users.id ORDER BY o.placed DESC, o.id DESC LIMIT 1) last_order ON TRUE ORDER BY "users"."id";

-- Rails: order by what is looked up
SELECT "products"."id", "products"."name" FROM "products" ORDER BY price("products"."id") DESC, "products"."id" LIMIT 10;

-- Hibernate: a property with a formula
select p1_0.id, p1_0.name, price(p1_0.id), in_stock(p1_0.id, 'north') from products p1_0 where p1_0.category_id = 4 order by p1_0.id;

-- Hibernate: join fetch
select o1_0.id, i1_0.order_id, i1_0.id, p1_0.name, price(p1_0.id) from orders o1_0 join items i1_0 on o1_0.id = i1_0.order_id join products p1_0 on p1_0.id = i1_0.product_id where o1_0.status = 'sent';

-- Hibernate: a page
select u1_0.id, u1_0.email, points(u1_0.id) from users u1_0 where u1_0.country = 'SE' order by u1_0.email offset 20 rows fetch first 20 rows only;

-- Hibernate: count of what a filter leaves
select count(u1_0.id) from users u1_0 where not blocked(u1_0.id) and u1_0.country in ('DE', 'FR');

-- Hibernate: having
select o1_0.currency, sum(i1_0.quantity * price(i1_0.product_id) / rate(o1_0.currency)) from orders o1_0 join items i1_0 on i1_0.order_id = o1_0.id group by o1_0.currency having max(points(o1_0.user_id)) > 100;

-- Hibernate: a batch of inserts
insert into priced (order_id, total) values (1, price(1)), (2, price(2)), (3, price(3)), (4, price(4)), (5, price(5)), (6, price(6)), (7, price(7)), (8, price(8)), (9, price(9)), (10, price(10));

-- Hibernate: a bulk update
update products set active = false where in_stock(id) = 0 and active;

-- Prisma: relations by lateral joins
SELECT "t0"."id", "t0"."email", "User_orders"."__prisma_data__" AS "orders" FROM "public"."users" AS "t0" LEFT JOIN LATERAL (SELECT COALESCE(JSONB_AGG("__prisma_data__"), '[]') AS "__prisma_data__" FROM (SELECT "t2"."__prisma_data__" FROM (SELECT JSONB_BUILD_OBJECT('id', "t1"."id", 'points', points("t1"."user_id"), 'eta', (delivery("t1"."id")).days) AS "__prisma_data__", "t1"."id" FROM "public"."orders" AS "t1" WHERE "t0"."id" = "t1"."user_id") AS "t2" ORDER BY "t2"."id" ASC) AS "t3") AS "User_orders" ON TRUE WHERE "t0"."country" = 'PT' ORDER BY "t0"."id";

-- Prisma: two levels
SELECT "t0"."id", "r"."__prisma_data__" FROM "public"."orders" AS "t0" LEFT JOIN LATERAL (SELECT COALESCE(JSONB_AGG("__prisma_data__"), '[]') AS "__prisma_data__" FROM (SELECT JSONB_BUILD_OBJECT('id', "t1"."id", 'price', price("t1"."product_id"), 'product', "p"."__prisma_data__") AS "__prisma_data__" FROM "public"."items" AS "t1" LEFT JOIN LATERAL (SELECT JSONB_BUILD_OBJECT('name', "t4"."name", 'stock', in_stock("t4"."id")) AS "__prisma_data__" FROM "public"."products" AS "t4" WHERE "t1"."product_id" = "t4"."id" LIMIT 1) AS "p" ON TRUE WHERE "t0"."id" = "t1"."order_id") AS "t3") AS "r" ON TRUE WHERE "t0"."status" = 'open' ORDER BY "t0"."id";

-- Prisma: findMany by ids
SELECT "public"."products"."id", "public"."products"."name", price("public"."products"."id") FROM "public"."products" WHERE "public"."products"."id" = ANY (SELECT 3 * i FROM generate_series(1, 150) i) OFFSET 0;

-- PostgREST: a table with a computed column
WITH pgrst_source AS (SELECT "public"."users"."id", "public"."users"."name", "public"."users"."points" FROM "public"."users" WHERE "public"."users"."country" = 'FR') SELECT null::bigint AS total_result_set, pg_catalog.count(_postgrest_t) AS page_total, coalesce(json_agg(_postgrest_t), '[]')::text AS body FROM (SELECT * FROM pgrst_source) _postgrest_t;

-- PostgREST: an embedded list
WITH pgrst_source AS (SELECT "public"."orders"."id", COALESCE("orders_items_1"."orders_items_1", '[]') AS "items" FROM "public"."orders" LEFT JOIN LATERAL (SELECT json_agg("orders_items_1") AS "orders_items_1" FROM (SELECT "items_1"."id", "items_1"."quantity", price("items_1"."product_id") AS "price" FROM "public"."items" AS "items_1" WHERE "items_1"."order_id" = "public"."orders"."id") AS "orders_items_1") AS "orders_items_1" ON TRUE WHERE "public"."orders"."placed" < '2026-02-01') SELECT coalesce(json_agg(_postgrest_t), '[]')::text AS body FROM (SELECT * FROM pgrst_source) _postgrest_t;

-- PostgREST: a filter on a computed column, ordered, with a limit
WITH pgrst_source AS (SELECT "public"."products"."id", "public"."products"."name" FROM "public"."products" WHERE "public"."products"."price" >= 300 ORDER BY "public"."products"."id" ASC LIMIT 100 OFFSET 0) SELECT pg_catalog.count(_postgrest_t) AS page_total, coalesce(json_agg(_postgrest_t), '[]')::text AS body FROM (SELECT * FROM pgrst_source) _postgrest_t;

-- PostgREST: a view
WITH pgrst_source AS (SELECT "public"."products_with_price".* FROM "public"."products_with_price" WHERE "public"."products_with_price"."category_id" = ANY ('{3,5,7}') AND "public"."products_with_price"."available" > 4) SELECT coalesce(json_agg(_postgrest_t), '[]')::text AS body FROM (SELECT * FROM pgrst_source) _postgrest_t;

-- Hasura: a list of objects
SELECT coalesce(json_agg("root" ORDER BY "root.pg.id" ASC NULLS LAST), '[]') AS "root" FROM (SELECT "_root.base"."id" AS "root.pg.id", row_to_json((SELECT "_e" FROM (SELECT "_root.base"."id" AS "id", "_root.base"."status" AS "status", points("_root.base"."user_id") AS "points") AS "_e")) AS "root" FROM (SELECT * FROM "public"."orders" WHERE (("public"."orders"."status") = ('returned'))) AS "_root.base") AS "_root";

-- Hasura: an array relationship
SELECT coalesce(json_agg("root"), '[]') AS "root" FROM (SELECT row_to_json((SELECT "_e" FROM (SELECT "_root.base"."id" AS "id", "_root.ar.root.reviews"."reviews" AS "reviews") AS "_e")) AS "root" FROM (SELECT * FROM "public"."products" WHERE ('true') ORDER BY "id" LIMIT 100) AS "_root.base" LEFT OUTER JOIN LATERAL (SELECT coalesce(json_agg("reviews"), '[]') AS "reviews" FROM (SELECT row_to_json((SELECT "_e" FROM (SELECT "_root.ar.root.reviews.base"."stars" AS "stars", level("_root.ar.root.reviews.base"."user_id") AS "level") AS "_e")) AS "reviews" FROM (SELECT * FROM "public"."reviews" WHERE (("_root.base"."id") = ("product_id"))) AS "_root.ar.root.reviews.base") AS "_root.ar.root.reviews") AS "_root.ar.root.reviews" ON ('true')) AS "_root";

-- Hasura: an object relationship
SELECT coalesce(json_agg("root"), '[]') AS "root" FROM (SELECT row_to_json((SELECT "_e" FROM (SELECT "_root.base"."id" AS "id", "_root.or.user"."user" AS "user") AS "_e")) AS "root" FROM (SELECT * FROM "public"."orders" WHERE (("public"."orders"."id") <= (300))) AS "_root.base" LEFT OUTER JOIN LATERAL (SELECT row_to_json((SELECT "_e" FROM (SELECT "_root.or.user.base"."name" AS "name", points("_root.or.user.base"."id") AS "points") AS "_e")) AS "user" FROM (SELECT * FROM "public"."users" WHERE (("_root.base"."user_id") = ("id")) LIMIT 1) AS "_root.or.user.base") AS "_root.or.user" ON ('true')) AS "_root";

-- Hasura: an aggregate of a relationship
SELECT coalesce(json_agg("root"), '[]') AS "root" FROM (SELECT row_to_json((SELECT "_e" FROM (SELECT "_root.base"."id" AS "id", "_root.ar.agg"."agg" AS "agg") AS "_e")) AS "root" FROM (SELECT * FROM "public"."orders" WHERE (("public"."orders"."currency") = ('USD'))) AS "_root.base" LEFT OUTER JOIN LATERAL (SELECT json_build_object('count', COUNT(*), 'sum', SUM(price("items"."product_id"))) AS "agg" FROM "public"."items" WHERE (("_root.base"."id") = ("order_id"))) AS "_root.ar.agg" ON ('true')) AS "_root";

-- dbt: a model of staged sources
with source as (select * from orders), renamed as (select id as order_id, user_id as customer_id, status, placed as ordered_at from source), enriched as (select renamed.*, level(customer_id) as customer_level, points(customer_id) as customer_points from renamed) select * from enriched;

-- dbt: facts from several models
with order_items as (select i.order_id, i.product_id, i.quantity, price(i.product_id) as unit_price from items i), orders_priced as (select order_id, sum(quantity * unit_price) as total from order_items group by 1), final as (select o.id, o.currency, p.total, p.total * rate(o.currency) as local_total from orders o left join orders_priced p on p.order_id = o.id) select * from final;

-- dbt: the latest of each, by row_number
with ranked as (select r.*, row_number() over (partition by r.product_id order by r.id desc) as row_num from reviews r) select ranked.product_id, ranked.stars, level(ranked.user_id) as level from ranked where row_num = 1;

-- dbt: a union of relations
select id, 'order' as kind, points(user_id) as points from orders where status = 'open' union all select id, 'review' as kind, points(user_id) as points from reviews union all select id, 'user' as kind, points(id) as points from users;

-- dbt: a pivot
select category_id, sum(case when in_stock(id, 'north') > 0 then 1 else 0 end) as north, sum(case when in_stock(id, 'south') > 0 then 1 else 0 end) as south, avg(price(id)) as mean_price from products group by category_id;

-- dbt: an incremental model
insert into priced select o.id, (select sum(price(i.product_id) * i.quantity) from items i where i.order_id = o.id) from orders o where o.placed >= (select date '2026-01-01' + 100) and not exists (select from priced p where p.order_id = o.id);

-- dbt: partitions
select v.day, count(*) as visits, sum(points(v.user_id)) as points from visits v where v.day >= date '2026-02-01' group by v.day;

-- by hand: a row for each of a set that a lookup returns
SELECT p.id, s.warehouse, s.quantity FROM products p CROSS JOIN LATERAL stocks(p.id) s WHERE p.category_id < 10 ORDER BY p.id, s.warehouse;

-- by hand: an upsert
MERGE INTO priced t USING (SELECT o.id, o.user_id FROM orders o WHERE o.id <= 500) s ON t.order_id = s.id WHEN MATCHED THEN UPDATE SET total = points(s.user_id) WHEN NOT MATCHED THEN INSERT VALUES (s.id, points(s.user_id));
