-- Which connection is in which group, on which node; how that changes, and how it is announced.

-- Expire the numbers of a group or user that is gone: they stay for the window, if anything is kept at all.
local function expire(key, most)
  if most > 0 then redis.call('PEXPIRE', key, AGE) else redis.call('DEL', key) end
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

-- Tell the feed that a user has no connection in a group any more, unless it is expected back there.
local function feed_left(group, row, why, users)
  local last = feed()
  if not last or absent_row(group, row) then return end
  local emptied = users == 0 and redis.call('EXISTS', P .. 'a:' .. group) == 0
  write_feed(last, emptied and 'LE' or 'L', why, group, row, users)
end

-- Tell the feed that a user has no connection at all any more, unless it is expected back.
local function feed_offline(row, why)
  local last = feed()
  if last and not absent_row('', row) then write_feed(last, 'F', why, '', row, 0) end
end

-- Add a member. Returns how many connections its user now has in the group, or nil if it was a member already; and the number
-- of users if that has changed.
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

-- Remove a member; `why` is for the feed. Returns how many connections its user has left in the group, or nil if it was not a
-- member.
local function remove_member(incarnation, row, group, why)
  local there = redis.call('ZREM', P .. 'm:' .. group, row) -- first, so that the script can run again if this fails
  redis.call('HDEL', P .. 'n:' .. incarnation, 'm' .. row)
  if there == 0 then return nil end
  local key = P .. 'g:' .. group
  local number = connections(group, row)
  if redis.call('HINCRBY', key, 'c', -1) == 0 then
    redis.call('ZREM', P .. 'sizes', size_key(redis.call('HGET', key, 'u'), group))
    redis.call('ZREM', P .. 'names', group)
    expire(key, MOST)
    feed_left(group, row, why, 0)
  elseif number == 0 then
    feed_left(group, row, why, resize(group, -1))
  end
  return number
end

-- Whether `row`, which leaves, was sent off, so that this is not announced. After this call it no longer counts as such.
local function was_sent_off(incarnation, row)
  return redis.call('HDEL', P .. 'n:' .. incarnation, 'q' .. row) == 1
end

-- Announce a change of `row` to the group; `code` is J (joined), L (left), D (disconnected), or '' to announce nothing.
-- Returns the number of notices: 0 if nothing has changed (`number` is nil) or no member is left to be told.
local function announce(code, group, row, number)
  if not number or code == '' or redis.call('EXISTS', P .. 'm:' .. group) == 0 then
    return 0
  end
  redis.call('SPUBLISH', P .. 'c:' .. group, code .. number .. ' ' .. row)
  return 1
end

-- Remove the entries of a lost connection. It was removed from its group before. `why` is for the feed.
local function forget(incarnation, row, why)
  local user, connection = parse_row(row)
  local there = redis.call('HDEL', P .. 'u:' .. user, connection) == 1
  redis.call('HDEL', P .. 'w', connection)
  redis.call('HDEL', P .. 'n:' .. incarnation, 'u' .. row)
  if redis.call('EXISTS', P .. 'u:' .. user) == 0 then
    expire(P .. 'j:' .. user, INBOX)
    if there then feed_offline(row, why) end
  end
end

