-- What the scripts share; this file is put in front of each. KEYS[1] is the prefix of the bucket that the script works
-- in, see keys.py. All other keys begin with it, so they have its hash tag and lie on the same node of a cluster.

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

-- The number of connections that the user of `row` has in `group`.
local function connections(group, row)
  local _, last = string.find(row, '\0\0', 1, true)
  local user = string.sub(row, 1, last)
  return redis.call('ZLEXCOUNT', P .. 'm:' .. group, '[' .. user, '(' .. string.sub(user, 1, -2) .. '\1')
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
    redis.call('HSET', key, 'e', epoch, 's', 0, 'u', 0)
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
    redis.call('DEL', key)
  elseif number == 0 then
    resize(group, -1)
  end
  return number
end

-- Tell the group that `row` came or went; `code` is J (joined), L (left), D (disconnected) or '' for silence. Returns the
-- number of notices: none if nothing was changed (`number` is nil) or nobody is left to hear it.
local function announce(code, group, row, number)
  if not number or code == '' or redis.call('EXISTS', P .. 'g:' .. group) == 0 then
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
end

