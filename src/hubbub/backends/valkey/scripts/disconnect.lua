-- Disconnect a user. ARGV: user, the order for the nodes where the user is connected, milliseconds for which to ban the
-- user ('' for no change, 0 to end a ban), most bans at the same time, milliseconds after which every ticket has expired.
-- Returns how many connections were told; -1 if there are too many bans, and nothing was done.
local user, bans = ARGV[1], P .. 'bans'
if ARGV[3] ~= '' then
  local time, span = now(), tonumber(ARGV[3])
  redis.call('ZREMRANGEBYSCORE', bans, '-inf', time)
  if span == 0 then
    redis.call('ZREM', bans, user)
  else
    if redis.call('ZCARD', bans) >= tonumber(ARGV[4]) and not redis.call('ZSCORE', bans, user) then return -1 end
    redis.call('ZADD', bans, time + span, user)
    redis.call('PEXPIREAT', bans, redis.call('ZRANGE', bans, -1, -1, 'WITHSCORES')[2])
  end
end
redis.call('SET', P .. 'd:' .. user, '', 'PX', ARGV[5])
local receivers, told = {}, 0
for _, node in ipairs(redis.call('HVALS', P .. 'u:' .. user)) do
  if receivers[node] == nil then
    receivers[node] = redis.call('SPUBLISH', P .. 'o:' .. node, 'X' .. ARGV[2])
  end
  if receivers[node] > 0 then told = told + 1 end
end
return told
