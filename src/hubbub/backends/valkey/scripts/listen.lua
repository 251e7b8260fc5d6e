-- Keep a group that this node listens to, although it may have no members: messages to it are numbered and published.
-- ARGV: group, an epoch in case the group does not exist, what to replay (see `replay`), and the user who pays if the group
-- is new ('' for nobody). Returns what `replay` does; or a `refusal`, and nothing was done.
local key = P .. 'g:' .. ARGV[1]
if ARGV[6] ~= '' and redis.call('EXISTS', key) == 0 and over_budget(ARGV[6], GROUP + #ARGV[1]) then
  return refusal(ARGV[6])
end
if redis.call('HSETNX', key, 'e', ARGV[2]) == 1 then
  redis.call('HSET', key, 's', 0, 'u', 0, 'c', 0)
  redis.call('DEL', P .. 'h:' .. ARGV[1])
end
if redis.call('HGET', key, 'c') == '0' then redis.call('PEXPIRE', key, AGE) end
return replay(P .. 'h:' .. ARGV[1], key, ARGV[3], ARGV[4], ARGV[5])
