-- Count a new connection. ARGV: life, row, user, connection, node, most connections of a user (0 for any number).
-- Returns 1, or 0 if the user has as many already.
if not lives(ARGV[1]) then return STALE end
local user, most = P .. 'u:' .. ARGV[3], tonumber(ARGV[6])
if most > 0 and redis.call('HLEN', user) >= most and redis.call('HEXISTS', user, ARGV[4]) == 0 then
  return 0
end
redis.call('HSET', user, ARGV[4], ARGV[5])
redis.call('HSET', P .. 'w', ARGV[4], ARGV[5])
redis.call('HSET', P .. 'n:' .. ARGV[1], 'u' .. ARGV[2], '')
return 1
