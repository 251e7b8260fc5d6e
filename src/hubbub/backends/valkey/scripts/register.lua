-- Register a new incarnation of a node. ARGV: the node, the new incarnation, an epoch that was never used, how much this
-- node keeps, and the earlier incarnations that may have left entries.
-- The entries of earlier incarnations become those of the new one, unless they were declared dead. Returns how the store
-- knows the node (1: an earlier incarnation was declared dead, so its members were announced as disconnected; 2: it was
-- alive; 0: the store does not know it, or no longer), how much the node keeps that registered before this one ('' if
-- there was none), and the entries, field after value.
-- After a restart of the store, or a failover, the last messages may be missing, and new messages get their numbers.
-- So each run of the store has an epoch of its own, which is part of all others.
local node, incarnation, known = ARGV[1] .. '.', ARGV[2], 0
local run = string.match(redis.call('INFO', 'server'), 'run_id:(%w+)')
if redis.call('GET', P .. 'run') ~= run then
  redis.call('MSET', P .. 'run', run, P .. 'run:epoch', ARGV[3])
end
for _, other in ipairs(redis.call('ZRANGE', P .. 'lives', 1, '+inf', 'BYSCORE')) do
  if string.sub(other, 1, #node) == node then
    known = 2
    if other ~= incarnation then
      local entries = redis.call('HGETALL', P .. 'n:' .. other)
      for i = 1, #entries, 2 do
        redis.call('HSET', P .. 'n:' .. incarnation, entries[i], entries[i + 1])
      end
      redis.call('DEL', P .. 'n:' .. other)
      redis.call('ZREM', P .. 'lives', other)
    end
  end
end
redis.call('ZADD', P .. 'lives', now(), incarnation)
for i = 5, #ARGV do
  if redis.call('ZSCORE', P .. 'dead', ARGV[i]) then known = 1 end
end
local found = redis.call('HGETALL', P .. 'n:' .. incarnation)
table.insert(found, 1, redis.call('SET', P .. 'window', ARGV[4], 'GET') or '')
table.insert(found, 1, known)
return found
