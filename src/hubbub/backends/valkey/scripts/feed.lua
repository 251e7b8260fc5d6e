-- Writes the feed: see groups/feed.py. While somebody has read it within the window, it is the list `feed`; otherwise there is
-- no such key, and nothing is written. FEED_EVENTS and FEED_BYTES say how much is kept. An entry of the list begins with the
-- epoch, the number of the event, the bytes of all entries so far, and the time in milliseconds, each with a space behind it.
-- What follows is in feed_entries.py.

-- The last entry, or false if nobody reads the feed. A key of the wrong type must not keep a change from being made.
local function feed()
  local last = redis.pcall('LINDEX', P .. 'feed', -1)
  return type(last) == 'string' and last
end

-- Append an event for each letter of `types`, behind `last`. `why` is a letter, `users` the group's number of users.
local function write_feed(last, types, why, group, row, users)
  local epoch, seq, bytes = string.match(last, '^(%S+) (%d+) (%d+) ')
  local time, body, entries = ' ' .. now() .. ' ', why .. users .. ' ' .. #group .. ' ' .. group .. row, {}
  for i = 1, #types do
    seq, bytes = seq + 1, bytes + #body + 64
    entries[i] = epoch .. ' ' .. seq .. ' ' .. bytes .. time .. string.sub(types, i, i) .. body
  end
  local key = P .. 'feed'
  local length = redis.call('RPUSH', key, unpack(entries))
  if length <= FEED_EVENTS * 17 / 16 and seq % 64 >= #types then return end
  repeat -- the list is shortened in chunks, and its bytes are looked at with every 64th event only
    local start = string.match(redis.call('LINDEX', key, 0), '^%S+ %d+ (%d+) ')
    local drop = math.max(length - FEED_EVENTS, bytes - start > FEED_BYTES and math.ceil(length / 16) or 0)
    drop = math.min(drop, length - 1)
    if drop > 0 then redis.call('LTRIM', key, drop, -1) end
    length = length - drop
  until drop <= 0
end
