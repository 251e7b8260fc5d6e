-- Renew the lease of a node, end absences that are over, and find dead nodes. ARGV: incarnation, milliseconds of silence
-- after which a node is dead, milliseconds between heartbeats. Returns the incarnations that are dead, the number of
-- notices about members that were sent off and have not come back, and whether there is a feed.
if not is_current(ARGV[1]) then return STALE end
local time, pulse = now(), tonumber(redis.call('GET', P .. 'pulse') or 0)
-- If no heartbeat of any node has arrived for so long, the store was away (or there was no node). No node is dead then,
-- and all leases start again. The same holds if the clock was set back, as a failover may do.
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
  local user, connection = parse_row(row)
  local there = group == '' and redis.call('HEXISTS', P .. 'u:' .. user, connection) == 1
  if there or group ~= '' and redis.call('ZSCORE', P .. 'm:' .. group, row) then -- it has not left yet
    redis.call('ZADD', P .. 'absences', time + ARGV[3], entry)
  elseif group == '' then
    end_absence(group, row)
    if redis.call('EXISTS', P .. 'u:' .. user) == 0 then write_feed(row, offline_events(row, 'b'), time) end
  else
    end_absence(group, row)
    local number = connections(group, row)
    notices = notices + announce('D', group, row, number)
    if number == 0 then
      local found = redis.call('HMGET', P .. 'g:' .. group, 'c', 'u') -- without connections, `u` is not kept up to date
      write_feed(row, left_events(group, row, (found[1] or '0') == '0' and 0 or tonumber(found[2]), true, 'b'), time)
    end
  end
end
local feed = redis.call('EXISTS', P .. 'feed')
if feed == 1 and silent_node() then redis.call('DEL', P .. 'feed') end
-- All nodes must learn of a shard-wide key with the wrong type, so that each repairs its part when that key is gone.
for key, kind in pairs({names = 'zset', sizes = 'zset', w = 'hash', dead = 'zset', ['n:' .. ARGV[1]] = 'hash'}) do
  local found = redis.call('TYPE', P .. key).ok
  if found ~= kind and found ~= 'none' then return {err = 'WRONGTYPE of ' .. key} end
end
return {redis.call('ZRANGE', P .. 'lives', '-inf', time - ARGV[2], 'BYSCORE'), notices, feed}
