// A page of orders that shows a score of another database with each: N+1.

'use strict';

const { Pool } = require('pg');

const VISITORS = 20;

// All that concresce changes in the application.
const QUERIES = {
  without: {
    score: 'SELECT score FROM far_scores WHERE user_id = $1',
    best: `SELECT id, (SELECT f.score FROM far_scores f WHERE f.user_id = orders.user_id) AS score
           FROM orders ORDER BY score DESC, id LIMIT 10`,
  },
  with: {
    score: 'SELECT user_score($1) AS score',
    best: 'SELECT id, user_score(user_id) AS score FROM orders ORDER BY score DESC, id LIMIT 10',
  },
};

// To the server that PGHOST, PGPORT, PGUSER and PGPASSWORD name.
const pool = new Pool({ database: 'example_shop', max: VISITORS });

// The handler: one query for the orders, and one for each of them.
async function ordersPage(queries, customer) {
  const { rows: orders } = await pool.query(
    'SELECT id, user_id FROM orders WHERE customer = $1 ORDER BY id', [customer]);

  return Promise.all(orders.map(async (order) => {
    const { rows: [user] } = await pool.query(queries.score, [order.user_id]);
    return `order ${order.id} of user ${order.user_id}, who has score ${user.score}`;
  }));
}

// All customers open their pages at the same moment.
function visit(queries) {
  const customers = Array.from({ length: VISITORS }, (_, i) => i + 1);
  return Promise.all(customers.map((customer) => ordersPage(queries, customer)));
}

// One query over all orders.
async function bestOrders(queries) {
  const { rows } = await pool.query(queries.best);
  return rows;
}

async function foreignQueries() {
  const { rows } = await pool.query('SELECT foreign_queries() AS n');
  return Number(rows[0].n);
}

async function measure(title, run, queries) {
  const before = await foreignQueries();
  const start = performance.now();
  const result = await run(queries);
  const seconds = (performance.now() - start) / 1000;
  console.log(`${title}: ${await foreignQueries() - before} foreign queries, ${seconds.toFixed(2)} s`);
  return result;
}

async function main() {
  const queries = QUERIES[process.argv[2]];
  if (!queries) {
    throw new Error('usage: orders.js with | without');
  }
  const pages = await measure(`${VISITORS} visitors at once, 25 orders each`, visit, queries);
  const [best] = await measure('the ten best of all 500 orders', bestOrders, queries);
  console.log(`${pages.flat().length} orders were shown, such as ${pages[0][0]}`);
  console.log(`The best is order ${best.id}, with score ${best.score}`);
}

main()
  .catch((error) => {
    console.error(error.message);
    process.exitCode = 1;
  })
  .finally(() => pool.end());
