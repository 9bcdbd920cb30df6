// What may be promised of an item: node read.mjs REDIS_URL ITEM WAREHOUSE MAX_AGE_SECONDS
import { createClient } from "redis";

const [url, ...rest] = process.argv.slice(2);
const encode = (code) => code.replace(/[:{},=~%\x00-\x20\x7f]/g, (c) => "%" + c.charCodeAt(0).toString(16).toUpperCase().padStart(2, "0"));
const [item, warehouse, maxAge] = [encode(rest[0]), encode(rest[1]), Number(rest[2])];
const redis = await createClient({ url }).connect();
const [level, meta] = await redis.multi().hGetAll(`stock:{${item}}:${warehouse}`).hGetAll("stock:meta").exec(); // MULTI .. EXEC
await redis.close();
const age = (Date.now() - Date.parse(meta.as_of ?? "1970-01-01T00:00:00Z")) / 1000;
const state = level.degraded ?? meta.state ?? "nothing served";
if (state !== "live" || !(age <= maxAge)) {
  console.error(`not to be relied on: ${state}, ${age} s old`);
  process.exit(1);
}
console.log(level.available ?? "0");
