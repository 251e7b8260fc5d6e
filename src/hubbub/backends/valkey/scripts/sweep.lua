-- A node says that it lives. ARGV: incarnation, milliseconds of silence after which a node is dead, milliseconds between beats.
-- Returns the lives that are dead, and the number of notices about those who were sent off and have stayed away.
if not is_current(ARGV[1]) then return STALE end
local time, pulse = now(), tonumber(redis.call('GET', P .. 'pulse') or 0)
-- If nobody was heard for so long, it was the store that was away (or there was nobody): no node is to blame for its
-- silence, and each gets the time to be heard again. So it is if the clock was set back, as by a failover.
if math.abs(time - pulse) > 3 * ARGV[3] then
  for _, incarnation in ipairs(redis.call('ZRANGE', P .. 'lives', 1, '+inf', 'BYSCORE')) do
    redis.call('ZADD', P .. 'lives', time, incarnation)
  end
end
redis.call('SET', P .. 'pulse', time)
redis.call('ZADD', P .. 'lives', time, ARGV[1])
local notices = 0
for _, entry in ipairs(redis.call('ZRANGE', P .. 'absences', '-inf', time, 'BYSCORE', 'LIMIT', 0, 500)) do
  local _, space, length = string.find(entry, '^(%d+) ')
  local group, row = string.sub(entry, space + 1, space + length), string.sub(entry, space + length + 1)
  if redis.call('ZSCORE', P .. 'm:' .. group, row) then -- it has not even gone yet
    redis.call('ZADD', P .. 'absences', time + ARGV[3], entry)
  else
    end_absence(group, row)
    notices = notices + announce('D', group, row, connections(group, row))
  end
end
-- A wrong key of the shard's own must be known to all nodes, so that each puts its part right when it is gone.
for key, kind in pairs({names = 'zset', sizes = 'zset', w = 'hash', dead = 'zset', ['n:' .. ARGV[1]] = 'hash'}) do
  local found = redis.call('TYPE', P .. key).ok
  if found ~= kind and found ~= 'none' then return {err = 'WRONGTYPE of ' .. key} end
end
return {redis.call('ZRANGE', P .. 'lives', '-inf', time - ARGV[2], 'BYSCORE'), notices}
