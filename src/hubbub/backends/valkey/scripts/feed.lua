-- Writes the feed: see groups/feed.py. While somebody has read it within the window, it is the list `feed`; otherwise there is
-- no such key, and nothing is written. FEED_EVENTS and FEED_BYTES say how much is kept; see feed_read.lua for the rest.
-- Scripts that run often have a variant without this part, with FEED false: it changes nothing while there is a feed, and
-- returns 'FEED'. The last argument of those with this part is the time in milliseconds, by the node: to ask for it would cost
-- a microsecond.
local FEED = true

-- The following return events as text, '' for none: feed_entries.py reads them. `absences` says whether anybody is expected back
-- in any group, `why` is a letter.

-- The user of `row` has its first connection in a group, which has `users` users now; `returned`: it was expected back.
local function joined_events(group, users, absences, returned)
  local opened = users == 1 and not (absences and (returned or redis.call('EXISTS', P .. 'a:' .. group) == 1))
  return (returned and 'jj' or opened and 'Oj' or 'Jj') .. users .. ' ' .. #group .. ' ' .. group
end

-- The user of `row` has no connection in a group any more, unless it is expected back there.
local function left_events(group, row, users, absences, why)
  absences = absences and redis.call('EXISTS', P .. 'a:' .. group) == 1
  if absences and absent_row(group, row) then return '' end
  return (users == 0 and not absences and 'X' or 'L') .. why .. users .. ' ' .. #group .. ' ' .. group
end

-- Append an entry with events of the user of `row` at `time`, in milliseconds. A key of the wrong type must not keep a change from being made. In chunks,
-- and for its bytes with every 64th entry, the list is shortened; its quicklist has nodes of about equal size, so that a look
-- at a few tells how many bytes there are.
local function write_feed(row, events, time)
  if events == '' then return end
  local key = P .. 'feed'
  local length = redis.pcall('RPUSHX', key, time .. ' ' .. #row .. ' ' .. row .. events)
  if type(length) ~= 'number' or length == 0 or length % 64 > 0 then return end
  local drop = length > FEED_EVENTS * 17 / 16 and length - FEED_EVENTS or 0
  local bytes = redis.pcall('MEMORY', 'USAGE', key)
  if type(bytes) == 'number' and bytes > FEED_BYTES then drop = math.max(drop, math.ceil(length * (1 - FEED_BYTES / bytes * 15 / 16))) end
  if drop == 0 then return end
  redis.call('LTRIM', key, drop, -1)
  local epoch, dropped = string.match(redis.call('GET', P .. 'feed:dropped') or '', '^(%S+) (%d+)$')
  if epoch then
    redis.call('SET', P .. 'feed:dropped', epoch .. ' ' .. dropped + drop, 'KEEPTTL')
  else
    redis.call('DEL', key)
  end
end
