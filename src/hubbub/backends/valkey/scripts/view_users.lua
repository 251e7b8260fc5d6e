-- One page of the members of a group, and how many match: a view. ARGV: the group, most rows, 1 for descending, the bounds of
-- the page in its direction, the bounds of what is counted. Returns the count and the rows; what it reads is tracked.
local key, found = P .. 'm:' .. ARGV[1], nil
if ARGV[3] == '1' then
  found = redis.call('ZRANGE', key, ARGV[4], ARGV[5], 'BYLEX', 'REV', 'LIMIT', 0, ARGV[2])
else
  found = redis.call('ZRANGE', key, ARGV[4], ARGV[5], 'BYLEX', 'LIMIT', 0, ARGV[2])
end
return {redis.call('ZLEXCOUNT', key, ARGV[6], ARGV[7]), found}
