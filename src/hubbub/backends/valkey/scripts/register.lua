-- Register a new incarnation of a node. ARGV: the node, the new incarnation, an epoch that was never used, how much this
-- node keeps, its version of the schema and the oldest one that can share a store with it (see schema_version.py), and the
-- earlier incarnations that may have left entries.
-- If this node cannot share the store, nothing is done. The reply is -1 and what the key `schema` has, or -2 and the version
-- of a node that is alive and too old. Otherwise:
-- The entries of earlier incarnations become those of the new one, unless they were declared dead. Returns how the store
-- knows the node (1: an earlier incarnation was declared dead, so its members were announced as disconnected; 2: it was
-- alive; 0: the store does not know it, or no longer), how much the node keeps that registered before this one ('' if
-- there was none), and the entries, field after value.
-- After a restart of the store, or a failover, the last messages may be missing, and new messages get their numbers.
-- So each run of the store has an epoch of its own, which is part of all others.
local node, incarnation, known = ARGV[1] .. '.', ARGV[2], 0
local version, oldest = tonumber(ARGV[5]), tonumber(ARGV[6])
local schema = redis.call('GET', P .. 'schema')
local highest, least = string.match(schema or '', '^(%d+) (%d+)$')
if not highest then
  highest, least = version, oldest
  if redis.call('EXISTS', P .. 'run') == 1 then highest, least = 1, 1 end -- version 1 wrote no such key
end
highest, least = tonumber(highest), tonumber(least)
if version < least or highest < oldest then return {-1, highest .. ' ' .. least} end
for _, other in ipairs(redis.call('ZRANGE', P .. 'lives', 1, '+inf', 'BYSCORE')) do
  local its = tonumber(string.match(other, '^(%d+)~') or 1)
  if its < oldest then return {-2, its} end
end
redis.call('SET', P .. 'schema', math.max(version, highest) .. ' ' .. math.max(oldest, least))
local run = string.match(redis.call('INFO', 'server'), 'run_id:(%w+)')
if redis.call('GET', P .. 'run') ~= run then
  redis.call('MSET', P .. 'run', run, P .. 'run:epoch', ARGV[3])
  redis.call('DEL', P .. 'feed') -- it may lack the last events as well; readers get a gap
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
for i = 7, #ARGV do
  if redis.call('ZSCORE', P .. 'dead', ARGV[i]) then known = 1 end
end
local found = redis.call('HGETALL', P .. 'n:' .. incarnation)
table.insert(found, 1, redis.call('SET', P .. 'window', ARGV[4], 'GET') or '')
table.insert(found, 1, known)
return found
