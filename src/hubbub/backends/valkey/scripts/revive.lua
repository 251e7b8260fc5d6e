-- Begin a new life of a node. ARGV: the node, the new life, and the lives before that may have left something.
-- Everything that earlier lives have put here is the new one's from now on, unless they were declared dead. Returns what
-- that is, field after value, and before it how the store knows the node: 1, a life before was declared dead, so that
-- its members were announced as gone; 2, it was alive; 0, it does not (any more).
local node, life, known = ARGV[1] .. '.', ARGV[2], 0
for _, other in ipairs(redis.call('ZRANGE', P .. 'lives', 1, '+inf', 'BYSCORE')) do
  if string.sub(other, 1, #node) == node then
    known = 2
    if other ~= life then
      local entries = redis.call('HGETALL', P .. 'n:' .. other)
      for i = 1, #entries, 2 do
        redis.call('HSET', P .. 'n:' .. life, entries[i], entries[i + 1])
      end
      redis.call('DEL', P .. 'n:' .. other)
      redis.call('ZREM', P .. 'lives', other)
    end
  end
end
redis.call('ZADD', P .. 'lives', now(), life)
for i = 3, #ARGV do
  if redis.call('ZSCORE', P .. 'dead', ARGV[i]) then known = 1 end
end
local found = redis.call('HGETALL', P .. 'n:' .. life)
table.insert(found, 1, known)
return found
