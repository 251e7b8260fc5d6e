-- Read the feed, and begin it if nobody has read it lately. ARGV: an epoch in case it begins, milliseconds of the window, most
-- events, and the position after which to read: '' or '=' and its epoch, and its number. Returns the epoch, the number of the
-- last event, 1 if events after the position are missing, and those events; or the version of a node that writes no events.
local key = P .. 'feed'
local version = silent_node()
if version then
  redis.call('DEL', key)
  return version
end
local last = redis.call('LINDEX', key, -1)
if not last then
  last = ARGV[1] .. ' 0 0 ' .. now() .. ' '
  redis.call('RPUSH', key, last)
end
redis.call('PEXPIRE', key, ARGV[2])
local old = now() - ARGV[2]
for _ = 1, 20 do
  local entry = redis.call('LINDEX', key, 100)
  if not entry or tonumber(string.match(entry, '^%S+ %d+ %d+ (%d+) ')) >= old then break end
  redis.call('LTRIM', key, 100, -1)
end
local epoch, seq = string.match(last, '^(%S+) (%d+) ')
seq = tonumber(seq)
if ARGV[4] == '' then return {epoch, seq, 0, {}} end
local missed = seq - ARGV[5]
if ARGV[4] ~= '=' .. epoch or missed < 0 or missed > redis.call('LLEN', key) then return {epoch, seq, 1, {}} end
if missed == 0 then return {epoch, seq, 0, {}} end
return {epoch, seq, 0, redis.call('LRANGE', key, -missed, math.min(-1, ARGV[3] - missed - 1))}
