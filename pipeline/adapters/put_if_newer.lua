#!lua name=onhand
-- onhand_publish: write one consistent cut of stock, unless Redis already holds a newer one.
-- The other function of this library, onhand_mend, is in mend.lua.
--
-- A version is fixed-width text, because Lua numbers are doubles and lose large offsets. A document is a flat list of names
-- and values, the first of which are 'v' and its own version. A key of ours that is of another type is a foreign hand's.

local function is_version(v)
  return #v == 27 and string.find(v, '^%d+%.%d+$') ~= nil and string.sub(v, 11, 11) == '.'
end

-- true: a worker wrote this version into meta, as it goes with what stands beside it
local function is_whole(meta, v)
  local held = redis.call('HMGET', meta, 'epoch', 'offset')
  local epoch, offset = held[1] or '', held[2] or ''
  return is_version(v) and v == string.rep('0', 10 - #epoch) .. epoch .. '.' .. string.rep('0', 16 - #offset) .. offset
end

-- make room for ours where a foreign hand left something of another type; true when it did
local function claim(key, kind)
  local found = redis.call('TYPE', key).ok
  if found == kind or found == 'none' then return false end
  redis.call('DEL', key)
  return true
end

local function field(key, name)
  local held = redis.pcall('HGET', key, name)
  if type(held) ~= 'table' then return held end
  claim(key, 'hash')
  return redis.call('HGET', key, name)
end

local function each(list, size, f)
  for i = 1, #list, size do f(list[i], list[i + 1]) end
end

-- Write a document of the cut `v`: true when it is new, nil when a newer cut's stands there.
local function write(key, docs, first, last, ttl, v)
  local mine, held = docs[first + 1], field(key, 'v')
  if held and held > mine and is_version(held) then
    if held > v then return nil end
    docs[first + 1] = held  -- what this cut says is as new as the cut; a version never goes back
  end
  redis.call('HSET', key, unpack(docs, first, last))
  if redis.call('HLEN', key) * 2 ~= last - first + 1 then
    redis.call('DEL', key)  -- a field ended (null = absent), or the level was gone and had an expiry
    redis.call('HSET', key, unpack(docs, first, last))
  end
  if ttl > 0 then redis.call('EXPIRE', key, ttl) end
  return held ~= docs[first + 1]
end

-- Append events to the stream of movements, but for those that are in it already: their ids only ever grow.
local function append(key, flat, most, v)
  claim(key, 'stream')
  local newest = redis.call('XREVRANGE', key, '+', '-', 'COUNT', 1)[1]
  local last = newest and newest[2][1] == 'id' and newest[2][2] or ''
  if string.sub(last, 12, 27) > string.sub(v, 12, 27) then last = '' end  -- of a future cut: a foreign hand's
  local at = 1
  while at <= #flat do
    local n = flat[at]
    if flat[at + 2] > last then redis.call('XADD', key, 'MAXLEN', '~', most, '*', unpack(flat, at + 1, at + n)) end
    at = at + n + 1
  end
end

-- KEYS  1 meta, 2 negative, 3 alerts, 4 changes, 5.. one per document, then movements where there are some
-- ARGV  1 a msgpack map:
--   v        version of this cut
--   prev     the version meta must hold ('' = none), or nil to write over an older one of any age (a rebuild)
--   chunk    0, or which of several calls this is: the ones before must be there still
--   begun    fixed-width time at which these calls were begun: of two writers of one cut the later one goes on
--   last     nothing more of it comes; begin = negative and alerts begin empty
--   meta     flat field list written to meta at the end; without v when this is one chunk of several
--   docs     one flat list, in the order of KEYS[5..]: feed, ttl, n, then the n texts of a document;
--            ttl > 0 = the level is gone, kept as zeros that long. Flat, because a table a document costs more than all HSETs
--   negative flat list score, member; positive = list of members to remove; alerts = flat list id, json; ended = list of ids
--   feed     how many entries a stream keeps
--   movements  absent, or one flat list: n, then the n texts of an event, the first two of which are 'id' and its id
-- Returns {status, documents that are new, keys refused}; status: ok | newer |
--   gap (meta is not at prev, or a chunk is gone: Redis was emptied or put back; readers see it by the state).
-- Refused is a document whose key holds a version that is newer than this cut.
local function publish(keys, cut)
  local meta = keys[1]
  local held = field(meta, 'v') or ''
  if held > cut.v and is_whole(meta, held) then return {'newer', 0, {}} end
  -- a cut that is there already is written again: its reply was lost and the writer asks once more
  local broken = cut.prev and held ~= cut.prev and held ~= cut.v
  -- whose chunks these are: a worker that slept must not end what another began since
  local of, chunk, begun = string.match(redis.call('HGET', meta, 'chunk') or '', '^(%S+) (%d+) ?(%d*)$')
  local is_later = of == cut.v and cut.chunk > 1 and begun > cut.begun
  if is_later or (of and is_version(of) and of > cut.v) then return {'newer', 0, {}} end
  local written = held == cut.v and not chunk and (cut.prev or cut.last)
  local ours = of == cut.v and begun == cut.begun
  broken = broken or (cut.prev and of and not ours)  -- what changed since `prev` does not make a part of another go whole
  broken = broken or (cut.chunk > 1 and not written and not (ours and tonumber(chunk) >= cut.chunk - 1))
  if broken then
    redis.call('HSET', meta, 'state', 'rebuilding')
    return {'gap', 0, {}}
  end
  if cut.begin then redis.call('DEL', keys[2], keys[3]) end
  local docs, at, new, refused, feeding = cut.docs, 1, 0, {}, false
  local documents = cut.movements and #keys - 1 or #keys
  for i = 5, documents do
    local feed, first, last = docs[at], at + 3, at + 2 + docs[at + 2]
    local is_new = write(keys[i], docs, first, last, docs[at + 1], cut.v)
    if is_new == nil then refused[#refused + 1] = keys[i] end
    if is_new then
      new = new + 1
      if feed and cut.feed > 0 then
        if not feeding then feeding = claim(keys[4], 'stream') or true end
        redis.call('XADD', keys[4], 'MAXLEN', '~', cut.feed, '*', 'key', keys[i], unpack(docs, first, last))
      end
    end
    at = last + 1
  end
  if cut.movements then append(keys[#keys], cut.movements, cut.feed, cut.v) end
  if #cut.negative + #cut.positive > 0 then claim(keys[2], 'zset') end
  if #cut.alerts + #cut.ended > 0 then claim(keys[3], 'hash') end
  each(cut.negative, 2, function(score, member) redis.call('ZADD', keys[2], score, member) end)
  each(cut.positive, 1, function(member) redis.call('ZREM', keys[2], member) end)
  each(cut.alerts, 2, function(id, json) redis.call('HSET', keys[3], id, json) end)
  each(cut.ended, 1, function(id) redis.call('HDEL', keys[3], id) end)
  redis.call('HSET', meta, unpack(cut.meta))
  if cut.last then
    redis.call('HDEL', meta, 'chunk')
  else
    redis.call('HSET', meta, 'chunk', table.concat({cut.v, cut.chunk, cut.begun}, ' '))
  end
  return {'ok', new, refused}
end

redis.register_function('onhand_publish', function(keys, args)
  return publish(keys, cmsgpack.unpack(args[1]))
end)
