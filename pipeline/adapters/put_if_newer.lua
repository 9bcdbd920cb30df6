#!lua name=onhand
-- onhand_publish: write one consistent cut of stock, unless Redis already holds a newer one.
--
-- KEYS  1 meta, 2 negative, 3 alerts, 4 changes, 5.. one per document
-- ARGV  1 a msgpack map:
--   v        version of this cut: fixed-width text, because Lua numbers are doubles and lose large offsets
--   prev     the version meta must hold ('' = none), or nil to write over an older one of any age (a rebuild)
--   meta     flat field list written to meta at the end; without v when this is one chunk of several
--   docs     one flat list, in the order of KEYS[5..]: feed, ttl, n, then n names and values, the first of which are 'v' and it;
--            ttl > 0 = the level is gone, kept as zeros that long. Flat, because a table a document costs more than all HSETs
--   negative flat list score, member; positive = list of members to remove; alerts = flat list id, json; ended = list of ids
--   feed     how many entries the changes stream keeps
-- Returns {status, documents that are new}; status: ok | gap (meta is not at prev: Redis was emptied or put back) | newer.
local function write(key, docs, first, last, ttl)
  local v = docs[first + 1]
  local held = redis.call('HGET', key, 'v')
  if held and held > v then return false end
  redis.call('HSET', key, unpack(docs, first, last))
  if redis.call('HLEN', key) * 2 ~= last - first + 1 then
    redis.call('DEL', key)  -- a field ended (null = absent), or the level was gone and had an expiry
    redis.call('HSET', key, unpack(docs, first, last))
  end
  if ttl > 0 then redis.call('EXPIRE', key, ttl) end
  return held ~= v
end

local function each(list, size, f)
  for i = 1, #list, size do f(list[i], list[i + 1]) end
end

redis.register_function('onhand_publish', function(keys, args)
  local cut = cmsgpack.unpack(args[1])
  local held = redis.call('HGET', keys[1], 'v') or ''
  if held > cut.v then return {'newer', 0} end
  -- a cut that is there already is written again: its reply was lost and the writer asks once more
  if cut.prev and held ~= cut.prev and held ~= cut.v then return {'gap', 0} end
  local docs, at, written = cut.docs, 1, 0
  for i = 5, #keys do
    local feed, first, last = docs[at], at + 3, at + 2 + docs[at + 2]
    if write(keys[i], docs, first, last, docs[at + 1]) then
      written = written + 1
      if feed and cut.feed > 0 then
        redis.call('XADD', keys[4], 'MAXLEN', '~', cut.feed, '*', 'key', keys[i], unpack(docs, first, last))
      end
    end
    at = last + 1
  end
  each(cut.negative, 2, function(score, member) redis.call('ZADD', keys[2], score, member) end)
  each(cut.positive, 1, function(member) redis.call('ZREM', keys[2], member) end)
  each(cut.alerts, 2, function(id, json) redis.call('HSET', keys[3], id, json) end)
  each(cut.ended, 1, function(id) redis.call('HDEL', keys[3], id) end)
  redis.call('HSET', keys[1], unpack(cut.meta))
  return {'ok', written}
end)
