-- Count a new connection. ARGV: incarnation, row, user, connection, node, most connections of a user (0 for no limit), an
-- epoch in case the user has no inbox, the position in the inbox (see `replay`), the id of the ticket that is used ('' for
-- none), the milliseconds for which its use has to be remembered, the digest of a guest's key ('' for others).
-- Returns what `replay` does; 0 if the user has too many connections; a negative number if the user is banned for so many
-- milliseconds; 'T' if the ticket was used before, or the user was disconnected since it was issued; 'G' if the name of
-- a guest is in use and has another key.
if not is_current(ARGV[1]) then return STALE end
if not FEED and redis.call('EXISTS', P .. 'feed') == 1 then return 'FEED' end
local banned = redis.call('ZSCORE', P .. 'bans', ARGV[3])
if banned then
  local left = banned - now()
  if left > 0 then return -left end
end
local user, most = P .. 'u:' .. ARGV[3], tonumber(ARGV[6])
local numbers, guest = P .. 'j:' .. ARGV[3], ARGV[12]
if guest ~= '' and most > 0 and redis.call('HGET', numbers, 'g') ~= guest then
  if redis.call('EXISTS', user) == 1 then return 'G' end
  redis.call('DEL', numbers, P .. 'i:' .. ARGV[3]) -- another guest takes a name that is free
end
if most > 0 and redis.call('HLEN', user) >= most and redis.call('HEXISTS', user, ARGV[4]) == 0 then
  return 0
end
if ARGV[10] ~= '' then
  if redis.call('EXISTS', P .. 'd:' .. ARGV[3]) == 1 then return 'T' end
  if not redis.call('SET', P .. 't:' .. ARGV[10], '', 'NX', 'PX', ARGV[11]) then return 'T' end
end
local new = redis.call('HSET', user, ARGV[4], ARGV[5])
if FEED then
  local returned = was_expected('', ARGV[2])
  if new == 1 and redis.call('HLEN', user) == 1 then write_feed(ARGV[2], (returned and 'n' or 'N') .. 'c0 0 ', ARGV[13]) end
end
redis.call('HSET', P .. 'w', ARGV[4], ARGV[5])
redis.call('HSET', P .. 'n:' .. ARGV[1], 'u' .. ARGV[2], '')
if redis.call('HSETNX', numbers, 'e', ARGV[7]) == 1 then
  redis.call('HSET', numbers, 's', 0)
  redis.call('DEL', P .. 'i:' .. ARGV[3])
end
if guest ~= '' then redis.call('HSETNX', numbers, 'g', guest) end
redis.call('PERSIST', numbers)
return replay(P .. 'i:' .. ARGV[3], numbers, ARGV[8], ARGV[9], 0)
