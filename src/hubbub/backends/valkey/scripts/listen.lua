-- Keep a group that this node listens to, although it may have no members: messages to it are numbered and published.
-- ARGV: group, an epoch in case the group does not exist. Returns what `replay` does, without messages.
local key = P .. 'g:' .. ARGV[1]
if redis.call('HSETNX', key, 'e', ARGV[2]) == 1 then
  redis.call('HSET', key, 's', 0, 'u', 0, 'c', 0)
  redis.call('DEL', P .. 'h:' .. ARGV[1])
end
if redis.call('HGET', key, 'c') == '0' then redis.call('PEXPIRE', key, AGE) end
return replay(P .. 'h:' .. ARGV[1], key, '', 0, 0)
