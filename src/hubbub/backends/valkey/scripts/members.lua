-- Which connection is in which group, on which node; how that changes, and how it is announced.

-- Expire the numbers of a group or user that is gone: they stay for the window, if anything is kept at all.
local function expire(key, most)
  if most > 0 then redis.call('PEXPIRE', key, AGE) else redis.call('DEL', key) end
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

-- Change the number of users of a group by `change`, and with it the group's entry in the order by size. Returns the number.
local function resize(group, change)
  local users = redis.call('HINCRBY', P .. 'g:' .. group, 'u', change)
  redis.call('ZREM', P .. 'sizes', size_key(users - change, group))
  redis.call('ZADD', P .. 'sizes', 0, size_key(users, group))
  return users
end

-- Add a member. Returns how many connections its user now has in the group, or nil if it was a member already; and, if it is
-- the first one, the group's number of users.
local function add_member(incarnation, row, group, epoch)
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
  local number, users = connections(group, row), nil
  if number == 1 then
    users = resize(group, 1)
  end
  redis.call('HSET', P .. 'n:' .. incarnation, 'm' .. row, group)
  return number, users
end

-- Remove a member. Returns how many connections its user has left in the group, or nil if it was not a member; and, if there
-- are none, the group's number of users.
local function remove_member(incarnation, row, group)
  local there = redis.call('ZREM', P .. 'm:' .. group, row) -- first, so that the script can run again if this fails
  redis.call('HDEL', P .. 'n:' .. incarnation, 'm' .. row)
  if there == 0 then return nil end
  local key = P .. 'g:' .. group
  local number, users = connections(group, row), nil
  if redis.call('HINCRBY', key, 'c', -1) == 0 then
    users = 0
    redis.call('ZREM', P .. 'sizes', size_key(redis.call('HGET', key, 'u'), group))
    redis.call('ZREM', P .. 'names', group)
    expire(key, MOST)
  elseif number == 0 then
    users = resize(group, -1)
  end
  return number, users
end

-- Absences: see groups/absences.py. An entry of `absences` is the length of the group's name, a space, the name, the row.
local function end_absence(group, row)
  redis.call('ZREM', P .. 'a:' .. group, row)
  redis.call('ZREM', P .. 'absences', #group .. ' ' .. group .. row)
end

-- One row of the user of `row` that is expected back in `group`, or nil.
local function absent_row(group, row)
  local first, last = span(row)
  return redis.call('ZRANGE', P .. 'a:' .. group, first, last, 'BYLEX', 'LIMIT', 0, 1)[1]
end

-- Whether the user of `row`, which has joined `group`, was expected back. If so, one absence is over.
local function was_expected(group, row)
  local absent = absent_row(group, row)
  if absent then end_absence(group, absent) end
  return absent
end

-- Whether `row`, which leaves, was sent off, so that this is not announced. After this call it no longer counts as such.
local function was_sent_off(incarnation, row)
  return redis.call('HDEL', P .. 'n:' .. incarnation, 'q' .. row) == 1
end

-- Announce a change of `row` to the group; `code` is J (joined), L (left), D (disconnected), or '' to announce nothing.
-- Returns the number of notices: 0 if nothing has changed (`number` is nil) or no member is left to be told.
local function announce(code, group, row, number)
  if not number or code == '' or code ~= 'J' and redis.call('EXISTS', P .. 'm:' .. group) == 0 then
    return 0
  end
  redis.call('SPUBLISH', P .. 'c:' .. group, code .. number .. ' ' .. row)
  return 1
end

-- Remove the entries of a lost connection. It was removed from its group before. Returns whether it was its user's last one.
local function forget(incarnation, row)
  local first, last = string.find(row, '\0\0', 1, true)
  local user = string.gsub(string.sub(row, 1, first - 1), '%z\255', '\0')
  local connection = string.sub(row, last + 1)
  local there = redis.call('HDEL', P .. 'u:' .. user, connection) == 1
  redis.call('HDEL', P .. 'w', connection)
  redis.call('HDEL', P .. 'n:' .. incarnation, 'u' .. row)
  if redis.call('EXISTS', P .. 'u:' .. user) == 0 then
    expire(P .. 'j:' .. user, INBOX)
    return there
  end
end

