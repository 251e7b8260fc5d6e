-- Read the feed, and begin it if nobody has read it lately. ARGV: an epoch in case it begins, milliseconds of the window, most
-- entries, and after which one to read: '' or '=' and its epoch, and its number. Returns the epoch, the number of the last
-- entry, 1 if entries after the given one are missing, and those entries; or the version of a node that writes no feed.
-- An entry is the time in milliseconds, the length of the row, each with a space behind it, the row and the events. Entries
-- have numbers, from 1 on. `feed:dropped` has the epoch, and the number of the last entry that was dropped.
local key, about = P .. 'feed', P .. 'feed:dropped'
local version = silent_node()
if version then
  redis.call('DEL', key, about)
  return version
end
local epoch, dropped = string.match(redis.call('GET', about) or '', '^(%S+) (%d+)$')
local length, time = redis.call('LLEN', key), now()
if not epoch or length == 0 then
  epoch, dropped, length = ARGV[1], 0, 1
  redis.call('DEL', key)
  redis.call('RPUSH', key, time .. ' 0 ')
  redis.call('SET', about, epoch .. ' 0')
end
for _ = 1, 20 do
  local entry = redis.call('LINDEX', key, 100)
  if not entry or time - string.match(entry, '^%d+') < tonumber(ARGV[2]) then break end
  redis.call('LTRIM', key, 100, -1)
  dropped, length = dropped + 100, length - 100
  redis.call('SET', about, epoch .. ' ' .. dropped)
end
redis.call('PEXPIRE', key, ARGV[2])
redis.call('PEXPIRE', about, ARGV[2])
local last = dropped + length
if ARGV[4] == '' then return {epoch, last, 0, {}} end
local missed = last - ARGV[5]
if ARGV[4] ~= '=' .. epoch or missed < 0 or missed > length then return {epoch, last, 1, {}} end
if missed == 0 then return {epoch, last, 0, {}} end
return {epoch, last, 0, redis.call('LRANGE', key, -missed, math.min(-1, ARGV[3] - missed - 1))}
