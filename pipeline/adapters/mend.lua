-- onhand_mend: put back what a foreign hand changed and what was lost, while Redis holds exactly our last cut: so what is
-- mended is never newer than what is written. Loaded after put_if_newer.lua, whose helpers it uses.
--
-- KEYS  1 meta, 2 negative, 3 alerts, 4.. one per document, then one per stranger
-- ARGV  1 a msgpack map:
--   v        the version meta must hold, and with it all of `meta`, a flat field list
--   docs     one flat list, in the order of KEYS: negative, n, then the n texts of a document;
--            negative = the score the level must have there, '' = none, false = it never has one
--   inherited  documents up to this version may have been written by an earlier worker
--   strangers  how many of the KEYS are keys that no level has; those newer than `since` are left alone;
--   zeros    flat list of what is written there instead, for `ttl` seconds
--   members  of negative that no level is; alerts = flat list id, json as it must be ('' = none)
-- Returns {status, flat list of kind and key of all that was mended}; status: ok | newer | gap (as onhand_publish says
-- them) | busy (meta says that somebody is writing).
local mended
local function note(kind, key)
  mended[#mended + 1] = kind
  mended[#mended + 1] = key
end

-- A hash by its fields, and how many they are; -1 = of another type, and gone now.
local function hash(key)
  local held, fields = redis.pcall('HGETALL', key), {}
  if held.err then
    claim(key, 'hash')
    return fields, -1
  end
  each(held, 2, function(name, value) fields[name] = value end)
  return fields, #held / 2
end

local function says(held, count, docs, first, last)
  if count * 2 ~= last - first + 1 then return false end
  for i = first, last, 2 do
    if held[docs[i]] ~= docs[i + 1] then return false end
  end
  return true
end

local function mend_document(ask, key, docs, first, last)
  local held, count = hash(key)
  local v, mine = held.v or '', docs[first + 1]
  -- an earlier worker may have known a later change: what it saw may have left the log since
  local same_epoch = string.sub(v, 1, 10) == string.sub(mine, 1, 10)
  if v ~= mine and same_epoch and mine <= ask.inherited and v <= ask.v and is_version(v) then
    if v > mine then docs[first + 1] = v else held.v = mine end
    held.changed = docs[last]
  end
  if not says(held, count, docs, first, last) then
    redis.call('DEL', key)
    redis.call('HSET', key, unpack(docs, first, last))
    note(count == 0 and 'missing' or 'changed', key)
  elseif redis.call('PERSIST', key) == 1 then
    note('expiring', key)
  end
end

local function mend_score(negative, key, wanted)
  local score = redis.call('ZSCORE', negative, key)
  if wanted == '' and score then
    redis.call('ZREM', negative, key)
    note('negative', key)
  elseif wanted ~= '' and not (score and tonumber(score) == tonumber(wanted)) then
    redis.call('ZADD', negative, wanted, key)
    note('negative', key)
  end
end

local function end_stranger(ask, negative, key)
  local held, count = hash(key)
  local v = held.v or ''
  if is_version(v) and v > ask.since and v <= ask.v then return end
  if count < 0 or (count > 0 and not held.deleted) then
    redis.call('DEL', key)
    redis.call('HSET', key, unpack(ask.zeros))
    redis.call('EXPIRE', key, ask.ttl)
    note('ghost', key)
  end
  if redis.call('ZREM', negative, key) == 1 then note('negative', key) end
end

local function mend_alert(alerts, id, wanted)
  if wanted == '' then redis.call('HDEL', alerts, id) else redis.call('HSET', alerts, id, wanted) end
  note('alert', id)
end

-- nil: meta is what it was when we wrote our last cut, or is again now
local function mend_meta(meta, ask)
  local v = field(meta, 'v') or ''
  if v > ask.v and is_whole(meta, v) then return 'newer' end
  if v ~= ask.v then
    redis.call('HSET', meta, 'state', 'rebuilding')
    return 'gap'
  end
  local held, count = hash(meta)
  if held.state == 'applying' or held.state == 'rebuilding' then return 'busy' end
  if not says(held, count, ask.meta, 1, #ask.meta) then
    redis.call('DEL', meta)
    redis.call('HSET', meta, unpack(ask.meta))
    note('meta', meta)
  end
end

redis.register_function('onhand_mend', function(keys, args)
  local ask, at = cmsgpack.unpack(args[1]), 1
  mended = {}
  local status = mend_meta(keys[1], ask)
  if status then return {status, mended} end
  if claim(keys[2], 'zset') then note('negative', keys[2]) end
  if claim(keys[3], 'hash') then note('alert', keys[3]) end
  for i = 4, #keys - ask.strangers do
    local wanted, first, last = ask.docs[at], at + 2, at + 1 + ask.docs[at + 1]
    mend_document(ask, keys[i], ask.docs, first, last)
    if wanted then mend_score(keys[2], keys[i], wanted) end
    at = last + 1
  end
  for i = #keys - ask.strangers + 1, #keys do end_stranger(ask, keys[2], keys[i]) end
  each(ask.members, 1, function(member)
    if redis.call('ZREM', keys[2], member) == 1 then note('negative', member) end
  end)
  each(ask.alerts, 2, function(id, wanted) mend_alert(keys[3], id, wanted) end)
  return {'ok', mended}
end)
