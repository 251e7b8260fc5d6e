-- Expect members back that are about to be sent away: see groups/absences.py. ARGV: incarnation, milliseconds, then row and
-- group of each: '' if the user of the row is expected to be online again, which only the feed needs.
if not is_current(ARGV[1]) then return STALE end
local due = now() + ARGV[2]
for i = 3, #ARGV, 2 do
  local row, group = ARGV[i], ARGV[i + 1]
  local there
  if group == '' then
    local user, connection = parse_row(row)
    there = redis.call('EXISTS', P .. 'feed') == 1 and redis.call('HEXISTS', P .. 'u:' .. user, connection) == 1
  else
    there = redis.call('ZSCORE', P .. 'm:' .. group, row)
    if there then redis.call('HSET', P .. 'n:' .. ARGV[1], 'q' .. row, '') end
  end
  if there then
    redis.call('ZADD', P .. 'a:' .. group, 0, row)
    redis.call('ZADD', P .. 'absences', due, #group .. ' ' .. group .. row)
  end
end
return #ARGV
