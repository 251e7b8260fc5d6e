-- What the scripts share; this file is put in front of each, and in front of it the settings MOST, BYTES, AGE
-- (milliseconds) and INBOX: how much is kept. KEYS[1] is the prefix of the bucket that the script works in, see keys.py.
-- All other keys begin with it, so they have its hash tag and lie on the same node of a cluster.

local P = KEYS[1]

local function now()
  local time = redis.call('TIME')
  return time[1] * 1000 + math.floor(time[2] / 1000)
end

-- Whether commands of this life count. It ends when the node opens another connection or is declared dead (score 0).
local function lives(life)
  local heard = redis.call('ZSCORE', P .. 'lives', life)
  return heard and tonumber(heard) > 0
end

local STALE = {err = 'STALE this life of the node has ended'}

-- What is done with the numbers of a group or user that is gone: they stay for the window, if anything is kept at all.
local function expire(key, most)
  if most > 0 then redis.call('PEXPIRE', key, AGE) else redis.call('DEL', key) end
end

-- Put an entry behind a history of at most `most`; `numbers` is the hash that has its size in bytes. The history of who
-- is silent for the window goes; until then an entry stays as long as newer ones leave room.
local function keep(history, numbers, entry, most)
  if most == 0 then return end
  local length, size = redis.call('RPUSH', history, entry), #entry + OVERHEAD
  if length > 1 then size = size + tonumber(redis.call('HGET', numbers, 'b')) end
  while length > most or (size > BYTES and length > 0) do
    size = size - #redis.call('LPOP', history) - OVERHEAD
    length = length - 1
  end
  redis.call('HSET', numbers, 'b', size)
  redis.call('PEXPIRE', history, AGE)
end

-- What somebody has to hear who comes to a history: its epoch, its last number, 1 if there is a gap, and the entries up
-- to that number. `since` is '' or '=' and the epoch of the position that the other is at, `seq` its number. `number` is how many
-- of the last entries are asked for without `since`, or with a gap.
local function replay(history, numbers, since, seq, number)
  local found = redis.call('HMGET', numbers, 'e', 's')
  if not found[1] then return {'', 0, 1, {}} end
  -- The numbers of another run of the store may be those of other messages: see revive.lua.
  local epoch, last = found[1] .. '/' .. (redis.call('GET', P .. 'run:epoch') or ''), tonumber(found[2])
  local gap, count = 0, tonumber(number)
  if since ~= '' then
    local behind = last - tonumber(seq)
    if since == '=' .. epoch and behind >= 0 and behind <= redis.call('LLEN', history) then
      count = behind
    else
      gap = 1
    end
  end
  local entries = count > 0 and redis.call('LRANGE', history, -count, -1) or {}
  return {epoch, last, gap, entries}
end

-- The bounds between which all rows of the user of `row` lie.
local function span(row)
  local _, last = string.find(row, '\0\0', 1, true)
  return '[' .. string.sub(row, 1, last), '(' .. string.sub(row, 1, last - 1) .. '\1'
end

-- The number of connections that the user of `row` has in `group`.
local function connections(group, row)
  return redis.call('ZLEXCOUNT', P .. 'm:' .. group, span(row))
end

local function size_key(users, group)
  return string.format('%010d', users) .. group
end

-- Change the number of users of a group by `change`, and its place in the order with it.
local function resize(group, change)
  local users = redis.call('HINCRBY', P .. 'g:' .. group, 'u', change)
  redis.call('ZREM', P .. 'sizes', size_key(users - change, group))
  redis.call('ZADD', P .. 'sizes', 0, size_key(users, group))
end

-- Make `row` a member. Returns how many connections the user now has there, or nil if it was one already.
local function put_in(life, row, group, epoch)
  if redis.call('ZADD', P .. 'm:' .. group, 0, row) == 0 then
    return nil
  end
  local key = P .. 'g:' .. group
  if redis.call('HINCRBY', key, 'c', 1) == 1 then
    if redis.call('HSETNX', key, 'e', epoch) == 1 then
      redis.call('HSET', key, 's', 0)
      redis.call('DEL', P .. 'h:' .. group)
    end
    redis.call('HSET', key, 'u', 0)
    redis.call('PERSIST', key)
    redis.call('ZADD', P .. 'names', 0, group)
  end
  local number = connections(group, row)
  if number == 1 then
    resize(group, 1)
  end
  redis.call('HSET', P .. 'n:' .. life, 'm' .. row, group)
  return number
end

-- End the membership. Returns how many connections the user has left there, or nil if it was no member.
local function take_out(life, row, group)
  redis.call('HDEL', P .. 'n:' .. life, 'm' .. row)
  if redis.call('ZREM', P .. 'm:' .. group, row) == 0 then
    return nil
  end
  local key = P .. 'g:' .. group
  local number = connections(group, row)
  if redis.call('HINCRBY', key, 'c', -1) == 0 then
    redis.call('ZREM', P .. 'sizes', size_key(redis.call('HGET', key, 'u'), group))
    redis.call('ZREM', P .. 'names', group)
    expire(key, MOST)
  elseif number == 0 then
    resize(group, -1)
  end
  return number
end

-- Absences: see hubbub/absences.py. An entry of `absences` is the length of the group's name, a space, the name and the row.
local function end_absence(group, row)
  redis.call('ZREM', P .. 'a:' .. group, row)
  redis.call('ZREM', P .. 'absences', #group .. ' ' .. group .. row)
end

-- Whether `row`, which has come to `group`, is the return of its user. If so, one absence is over.
local function returns(group, row)
  local first, last = span(row)
  local absent = redis.call('ZRANGE', P .. 'a:' .. group, first, last, 'BYLEX', 'LIMIT', 0, 1)[1]
  if absent then end_absence(group, absent) end
  return absent
end

-- Whether `row`, which is going, was sent off, so that nobody is to hear of it. After this it is not any more.
local function was_sent_off(life, row)
  return redis.call('HDEL', P .. 'n:' .. life, 'q' .. row) == 1
end

-- Tell the group that `row` came or went; `code` is J (joined), L (left), D (disconnected) or '' for silence. Returns the
-- number of notices: none if nothing was changed (`number` is nil) or nobody is left to hear it.
local function announce(code, group, row, number)
  if not number or code == '' or redis.call('EXISTS', P .. 'm:' .. group) == 0 then
    return 0
  end
  redis.call('SPUBLISH', P .. 'c:' .. group, code .. number .. ' ' .. row)
  return 1
end

-- Forget a connection: it is gone. Its membership has been ended before.
local function forget(life, row)
  local first, last = string.find(row, '\0\0', 1, true)
  local user = string.gsub(string.sub(row, 1, first - 1), '%z\255', '\0')
  local connection = string.sub(row, last + 1)
  redis.call('HDEL', P .. 'u:' .. user, connection)
  redis.call('HDEL', P .. 'w', connection)
  redis.call('HDEL', P .. 'n:' .. life, 'u' .. row)
  if redis.call('EXISTS', P .. 'u:' .. user) == 0 then
    expire(P .. 'j:' .. user, INBOX)
  end
end

