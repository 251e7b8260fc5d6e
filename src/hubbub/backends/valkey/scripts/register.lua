-- Begin a new incarnation of a node. ARGV: the node, the new incarnation, an epoch that was never used, how much this node keeps,
-- and the lives before that may have left something.
-- Everything that earlier lives have put here is the new one's from now on, unless they were declared dead. Returns what
-- that is, field after value, and before it what the node keeps that came before this one ('' if none did), and how
-- the store knows the node: 1, a incarnation before was declared dead, so that
-- its members were announced as gone; 2, it was alive; 0, it does not (any more).
-- After a restart of the store, or when another server has taken over, the last messages may be missing in it, and new
-- ones get their numbers. So each run of the store is an epoch of its own, part of all others.
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
