-- Expect members back that are about to be sent away: see groups/absences.py. ARGV: incarnation, milliseconds, then row and
-- group of each.
if not is_current(ARGV[1]) then return STALE end
local due = now() + ARGV[2]
for i = 3, #ARGV, 2 do
  local row, group = ARGV[i], ARGV[i + 1]
  if redis.call('ZSCORE', P .. 'm:' .. group, row) then
    redis.call('HSET', P .. 'n:' .. ARGV[1], 'q' .. row, '')
    redis.call('ZADD', P .. 'a:' .. group, 0, row)
    redis.call('ZADD', P .. 'absences', due, #group .. ' ' .. group .. row)
  end
end
return #ARGV
