#!lua name=onhand
-- onhand_publish: write one consistent cut of stock, unless Redis already holds a newer one.
--
-- KEYS  1 meta, 2 negative, 3 alerts, 4 changes, 5.. one per document
-- ARGV  1 a msgpack map:
--   v        version of this cut: fixed-width text, because Lua numbers are doubles and lose large offsets
--   prev     the version meta must hold ('' = none), or nil to write over an older one of any age (a rebuild)
--   meta     flat field list written to meta at the end; without v when this is one chunk of several
--   docs     aligned with KEYS[5..]: {v, ttl, feed, fields}; ttl > 0 = the level is gone, kept as zeros that long
--   negative flat list score, member; positive = list of members to remove; alerts = flat list id, json; ended = list of ids
--   feed     how many entries the changes stream keeps
-- Returns {status, documents that are new}; status: ok | gap (meta is not at prev: Redis was emptied or put back) | newer.
local function write(key, doc)
  local v = doc[1]
  local held = redis.call('HGET', key, 'v')
  if held and held > v then return 0 end
  local fields = doc[4]
  redis.call('HSET', key, 'v', v, unpack(fields))
  if redis.call('HLEN', key) ~= #fields / 2 + 1 then
    redis.call('DEL', key)  -- a field ended (null = absent), or the level was gone and had an expiry
    redis.call('HSET', key, 'v', v, unpack(fields))
  end
  if doc[2] > 0 then redis.call('EXPIRE', key, doc[2]) end
  return held == v and 0 or 1
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
  local written = 0
  for i, doc in ipairs(cut.docs) do
    local new = write(keys[4 + i], doc)
    written = written + new
    if new == 1 and doc[3] and cut.feed > 0 then
      redis.call('XADD', keys[4], 'MAXLEN', '~', cut.feed, '*', 'key', keys[4 + i], 'v', doc[1], unpack(doc[4]))
    end
  end
  each(cut.negative, 2, function(score, member) redis.call('ZADD', keys[2], score, member) end)
  each(cut.positive, 1, function(member) redis.call('ZREM', keys[2], member) end)
  each(cut.alerts, 2, function(id, json) redis.call('HSET', keys[3], id, json) end)
  each(cut.ended, 1, function(id) redis.call('HDEL', keys[3], id) end)
  redis.call('HSET', keys[1], unpack(cut.meta))
  return {'ok', written}
end)
