-- Remove some of what a dead node has left. ARGV: the incarnation, milliseconds of silence after which it is dead (0: it
-- is, as it says itself), most entries. Returns the number of entries left, the number of notices and, unless the node
-- says so itself, the rows and groups of the members that were removed.
-- The first node that gets to an entry removes it and announces that in one step, so each is announced once. The
-- incarnation stays in the list, with score 0, until nothing is left: if the node that expires it dies too, the next one
-- continues.
local incarnation, key, time = ARGV[1], P .. 'n:' .. ARGV[1], now()
local why = ARGV[2] == '0' and 'd' or 'n'
local lease = tonumber(redis.call('ZSCORE', P .. 'lives', incarnation) or 0)
if lease > 0 then
  if ARGV[2] ~= '0' and lease > time - ARGV[2] then return {0, 0, {}} end
  redis.call('ZADD', P .. 'lives', 0, incarnation)
  redis.call('ZADD', P .. 'dead', time, incarnation)
  redis.call('ZREMRANGEBYSCORE', P .. 'dead', '-inf', time - 86400000)
end
local lost, notices, entries = {}, 0, redis.call('HRANDFIELD', key, ARGV[3], 'WITHVALUES')
for i = 1, #entries, 2 do
  local kind, row = string.sub(entries[i], 1, 1), string.sub(entries[i], 2)
  if kind == 'm' then
    local code = was_sent_off(incarnation, row) and '' or 'D'
    local number, users = remove_member(incarnation, row, entries[i + 1])
    if users then write_feed(row, left_events(entries[i + 1], row, users, true, why), time) end
    if number and ARGV[2] ~= '0' then
      lost[#lost + 1] = row
      lost[#lost + 1] = entries[i + 1]
    end
    notices = notices + announce(code, entries[i + 1], row, number)
  elseif kind == 'u' then
    if forget(incarnation, row) then write_feed(row, offline_events(row, why), time) end
  elseif redis.call('HEXISTS', key, 'm' .. row) == 0 then -- otherwise removing its membership removes this as well
    was_sent_off(incarnation, row)
  end
end
local left = redis.call('HLEN', key)
if left == 0 then redis.call('ZREM', P .. 'lives', incarnation) end
return {left, notices, lost}
