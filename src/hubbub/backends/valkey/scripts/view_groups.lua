-- One page of an order, and how many groups match: a view. ARGV: names or sizes, most rows, 1 for descending, the number of
-- bounds of the page, those bounds (see rows.lua), and pairs of bounds, in ascending order, of what is counted. Returns the
-- count and the rows. What it reads is tracked: see changes.py.
local behind, count = 5 + ARGV[4], 0
for i = behind, #ARGV, 2 do
  count = count + redis.call('ZLEXCOUNT', P .. ARGV[1], ARGV[i], ARGV[i + 1])
end
return {count, rows(ARGV[1], tonumber(ARGV[2]), ARGV[3], 5, behind - 1)}
