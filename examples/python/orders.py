"""A page of orders that shows a score of another database with each: N+1."""

import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import psycopg

VISITORS = 20

# All that concresce changes in the application.
QUERIES = {
    "without": {
        "score": "SELECT score FROM far_scores WHERE user_id = %s",
        "best": """SELECT id, (SELECT f.score FROM far_scores f WHERE f.user_id = orders.user_id) AS score
                   FROM orders ORDER BY score DESC, id LIMIT 10""",
    },
    "with": {
        "score": "SELECT user_score(%s)",
        "best": "SELECT id, user_score(user_id) AS score FROM orders ORDER BY score DESC, id LIMIT 10",
    },
}


def connect():
    """To the server that PGHOST, PGPORT, PGUSER and PGPASSWORD name."""
    return psycopg.connect(dbname="example_shop", autocommit=True)


def orders_page(connection, queries, customer):
    """The handler: one query for the orders, and one for each of them."""
    orders = connection.execute(
        "SELECT id, user_id FROM orders WHERE customer = %s ORDER BY id", [customer]
    ).fetchall()
    lines = []
    for order, user in orders:
        (score,) = connection.execute(queries["score"], [user]).fetchone()
        lines.append(f"order {order} of user {user}, who has score {score}")
    return lines


def visit(queries):
    """All customers open their pages at the same moment."""
    start = threading.Barrier(VISITORS)

    def visitor(customer):
        with connect() as connection:
            start.wait()
            return orders_page(connection, queries, customer)

    with ThreadPoolExecutor(VISITORS) as pool:
        return list(pool.map(visitor, range(1, VISITORS + 1)))


def best_orders(queries):
    """One query over all orders."""
    with connect() as connection:
        return connection.execute(queries["best"]).fetchall()


def foreign_queries():
    with connect() as connection:
        return connection.execute("SELECT foreign_queries()").fetchone()[0]


def measure(title, function, queries):
    before, start = foreign_queries(), time.monotonic()
    result = function(queries)
    seconds = time.monotonic() - start
    print(f"{title}: {foreign_queries() - before} foreign queries, {seconds:.2f} s")
    return result


def main():
    if len(sys.argv) != 2 or sys.argv[1] not in QUERIES:
        sys.exit("usage: orders.py with | without")
    queries = QUERIES[sys.argv[1]]

    pages = measure(f"{VISITORS} visitors at once, 25 orders each", visit, queries)
    best = measure("the ten best of all 500 orders", best_orders, queries)
    print(f"{sum(map(len, pages))} orders were shown, such as {pages[0][0]}")
    print(f"The best is order {best[0][0]}, with score {best[0][1]}")


if __name__ == "__main__":
    main()
