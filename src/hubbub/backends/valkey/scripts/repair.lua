-- Repair a group after one of its keys, or a shard-wide key, had the wrong type and is gone. ARGV: incarnation, group, an
-- epoch in case the group does not exist, the number of rows that this node has in it, those rows, and rows that this node
-- no longer has in it.
if not is_current(ARGV[1]) then return STALE end
redis.call('DEL', P .. 'feed') -- changes that met the wrong key are not in it; readers get a gap
local group, rows = ARGV[2], tonumber(ARGV[4])
local key, members, own = P .. 'g:' .. group, P .. 'm:' .. group, P .. 'n:' .. ARGV[1]
for i = 5, #ARGV do
  if i < 5 + rows then
    redis.call('ZADD', members, 0, ARGV[i])
    redis.call('HSET', own, 'm' .. ARGV[i], group)
  else
    if redis.call('ZREM', members, ARGV[i]) == 1 then announce('L', group, ARGV[i], connections(group, ARGV[i])) end
    if redis.call('HGET', own, 'm' .. ARGV[i]) == group then redis.call('HDEL', own, 'm' .. ARGV[i]) end
  end
end
local users, last, there = 0, nil, redis.call('ZRANGE', members, 0, -1)
for _, row in ipairs(there) do
  local user = string.sub(row, 1, string.find(row, '\0\0', 1, true))
  if user ~= last then users, last = users + 1, user end
end
local before = redis.call('HGET', key, 'u')
if before then
  redis.call('ZREM', P .. 'sizes', size_key(before, group))
else -- its old entry in the order by size is not known; there must not be two
  local pattern, cursor, found = '??????????' .. string.gsub(group, '[%*%?%[%]\\]', '\\%0'), '0', nil
  repeat
    cursor, found = unpack(redis.call('ZSCAN', P .. 'sizes', cursor, 'MATCH', pattern, 'COUNT', 1000))
    for i = 1, #found, 2 do redis.call('ZREM', P .. 'sizes', found[i]) end
  until cursor == '0'
end
if #there == 0 then
  redis.call('ZREM', P .. 'names', group)
  if before then
    redis.call('HSET', key, 'u', 0, 'c', 0)
    expire(key, MOST)
  end
  return 0
end
if redis.call('HSETNX', key, 'e', ARGV[3]) == 1 then
  redis.call('HSET', key, 's', 0)
  redis.call('DEL', P .. 'h:' .. group)
end
redis.call('HSET', key, 'u', users, 'c', #there)
redis.call('PERSIST', key)
redis.call('ZADD', P .. 'names', 0, group)
redis.call('ZADD', P .. 'sizes', 0, size_key(users, group))
return #there
