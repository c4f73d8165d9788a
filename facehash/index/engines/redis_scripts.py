"""The Lua scripts of `redis_lsh`. Redis runs each of them to its end before anything else.

KEYS[1] is the hash of the index: settings, generation, epoch. KEYS[2] is the hash of the epochs
that may be written to: epoch -> "<writer>:<number of steps written>". ARGV[1] is the beginning of
all other names. An id is 8 bytes, a key of a table 4 bytes, both little endian. An epoch `e` has:

- the hash `e:keys`: id -> its keys in all tables, one after another;
- the hash `e:<table>` for each table, from 0: key -> the ids of the bucket, at most 256;
- the set `e:<table>:<key>`: further ids of a bucket that has 256;
- the set `e:more`: the names of those sets.
"""

CREATE = """
-- ARGV: prefix, epoch, writer, then fields and values of the index
if redis.call('EXISTS', KEYS[1]) == 0 then
  redis.call('HSET', KEYS[2], ARGV[2], ARGV[3])
  redis.call('HSET', KEYS[1], 'epoch', ARGV[2], unpack(ARGV, 4))
end
return 1
"""

BEGIN = """
-- ARGV: prefix, epoch to write, writer, expected generation, expected epoch
if redis.call('HGET', KEYS[1], 'generation') ~= ARGV[4]
    or redis.call('HGET', KEYS[1], 'epoch') ~= ARGV[5] then
  return 0
end
redis.call('HSET', KEYS[2], ARGV[2], ARGV[3] .. ':0')
return 1
"""

# First every face leaves the buckets in which its stored keys say that it is, then the new ones
# enter theirs.
STEP = """
-- ARGV: prefix, epoch, writer, step, number of tables, removed ids, added ids, their keys
local epoch, writer, step, tables = ARGV[2], ARGV[3], tonumber(ARGV[4]), tonumber(ARGV[5])
if redis.call('HGET', KEYS[2], epoch) ~= writer .. ':' .. step then
  return 0
end
local beginning = ARGV[1] .. epoch .. ':'
local stored, full = beginning .. 'keys', 256 * 8

local function split(text, width)
  local parts = {}
  for at = 1, #text, width do
    parts[#parts + 1] = string.sub(text, at, at + width - 1)
  end
  return parts
end

local function read(hash, fields)
  local values = {}
  if #fields > 0 then
    for i, value in ipairs(redis.call('HMGET', hash, unpack(fields))) do
      values[fields[i]] = value or ''
    end
  end
  return values
end

local function overflow(table_name, key)
  return table_name .. ':' .. struct.unpack('<I4', key)
end

local function without(text, id, more)
  for at = 1, #text, 8 do
    if string.sub(text, at, at + 7) == id then
      local other = #text >= full and redis.call('SPOP', more) or ''
      return string.sub(text, 1, at - 1) .. other .. string.sub(text, at + 8)
    end
  end
  if #text >= full then
    redis.call('SREM', more, id)
  end
  return text
end

local removed, added, keys = split(ARGV[6], 8), split(ARGV[7], 8), split(ARGV[8], 4 * tables)
local leaving = {}
for _, ids in ipairs({removed, added}) do
  for id, old in pairs(read(stored, ids)) do
    if old ~= '' then
      leaving[id] = old
    end
  end
end

local function write(hash, values)
  local emptied, changed = {}, {}
  for key, ids in pairs(values) do
    if ids == '' then
      emptied[#emptied + 1] = key
    else
      changed[#changed + 1] = key
      changed[#changed + 1] = ids
    end
  end
  if #emptied > 0 then
    redis.call('HDEL', hash, unpack(emptied))
  end
  if #changed > 0 then
    redis.call('HSET', hash, unpack(changed))
  end
end

local function change(t, ids, keys_of)
  local table_name, fields, at = beginning .. t, {}, 4 * t + 1
  for _, id in ipairs(ids) do
    fields[#fields + 1] = string.sub(keys_of[id], at, at + 3)
  end
  return table_name, fields, read(table_name, fields)
end

local gone = {}
for id in pairs(leaving) do
  gone[#gone + 1] = id
end
for t = 0, #gone > 0 and tables - 1 or -1 do
  local table_name, fields, values = change(t, gone, leaving)
  for i, id in ipairs(gone) do
    values[fields[i]] = without(values[fields[i]], id, overflow(table_name, fields[i]))
  end
  write(table_name, values)
end
if #removed > 0 then
  redis.call('HDEL', stored, unpack(removed))
end
if #added > 0 then
  local entering = {}
  for i, id in ipairs(added) do
    entering[id] = keys[i]
  end
  write(stored, entering)
  for t = 0, tables - 1 do
    local table_name, fields, values = change(t, added, entering)
    for i, id in ipairs(added) do
      local key = fields[i]
      if #values[key] < full then
        values[key] = values[key] .. id
      else
        redis.call('SADD', overflow(table_name, key), id)
        redis.call('SADD', beginning .. 'more', overflow(table_name, key))
      end
    end
    write(table_name, values)
  end
end
redis.call('HSET', KEYS[2], epoch, writer .. ':' .. step + 1)
return 1
"""

FINISH = """
-- ARGV: prefix, epoch, writer, step, expected generation, expected epoch, then fields and values
if redis.call('HGET', KEYS[2], ARGV[2]) ~= ARGV[3] .. ':' .. ARGV[4]
    or redis.call('HGET', KEYS[1], 'generation') ~= ARGV[5]
    or redis.call('HGET', KEYS[1], 'epoch') ~= ARGV[6] then
  return 0
end
redis.call('HSET', KEYS[1], 'epoch', ARGV[2], unpack(ARGV, 7))
return 1
"""

# UNLINK frees the memory in the background. Without its entry nobody writes to an epoch any more.
DISCARD = """
-- ARGV: prefix, number of tables, an epoch or '' for all; never the current one
local current = redis.call('HGET', KEYS[1], 'epoch')
for _, epoch in ipairs(redis.call('HKEYS', KEYS[2])) do
  if epoch ~= current and (ARGV[3] == '' or ARGV[3] == epoch) then
    local beginning = ARGV[1] .. epoch .. ':'
    for _, name in ipairs(redis.call('SMEMBERS', beginning .. 'more')) do
      redis.call('UNLINK', name)
    end
    redis.call('UNLINK', beginning .. 'more', beginning .. 'keys')
    for t = 0, tonumber(ARGV[2]) - 1 do
      redis.call('UNLINK', beginning .. t)
    end
    redis.call('HDEL', KEYS[2], epoch)
  end
end
return 1
"""

# Some of the most promising keys of every table are looked up, then the next ones, until enough is
# read. Of the ids that a bucket has in excess of 256, a sample is read. Counting how often each id
# occurs would take Lua ten times as long, and the server does nothing else meanwhile.
SEARCH = """
-- ARGV: prefix, epoch, number of tables, most ids of a sample, most ids, keys per table,
-- then for each table its keys in the order of probing
local epoch = redis.call('HGET', KEYS[1], 'epoch')
if epoch ~= ARGV[2] then
  return {epoch or '', '-1', ''}
end
local beginning, full = ARGV[1] .. epoch .. ':', 256 * 8
local tables, sample, bytes = tonumber(ARGV[3]), tonumber(ARGV[4]), 8 * tonumber(ARGV[5])
local probes, at_once = tonumber(ARGV[6]), 32
local found = {}
for first = 1, probes, at_once do
  for t = 0, bytes > 0 and tables - 1 or -1 do
    local fields, keys = {}, ARGV[7 + t]
    for number = first, math.min(first + at_once - 1, probes) do
      fields[#fields + 1] = string.sub(keys, 4 * number - 3, 4 * number)
    end
    for i, ids in ipairs(redis.call('HMGET', beginning .. t, unpack(fields))) do
      if ids then
        found[#found + 1] = ids
        bytes = bytes - #ids
        if #ids >= full then
          local more = beginning .. t .. ':' .. struct.unpack('<I4', fields[i])
          ids = table.concat(redis.call('SRANDMEMBER', more, sample))
          found[#found + 1] = ids
          bytes = bytes - #ids
        end
      end
    end
  end
end
return {epoch, redis.call('HGET', KEYS[1], 'generation'), table.concat(found)}
"""

EVERY = """
-- ARGV: prefix, most ids returned; the ids of all faces unless there are more
local epoch = redis.call('HGET', KEYS[1], 'epoch')
if not epoch then
  return {'', '-1', ''}
end
local generation, stored = redis.call('HGET', KEYS[1], 'generation'), ARGV[1] .. epoch .. ':keys'
if redis.call('HLEN', stored) > tonumber(ARGV[2]) then
  return {epoch, generation, false}
end
return {epoch, generation, table.concat(redis.call('HKEYS', stored))}
"""
