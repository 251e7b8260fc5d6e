-- Take a member out of one group and into another. ARGV: life, row, old group, new group ('' for none), an epoch in
-- case the new group does not exist, code for the old group, code for the new group ('' to announce nothing), and what to
-- replay of the new group (see `replay`). Returns the number of notices, and what `replay` does.
if not lives(ARGV[1]) then return STALE end
local notices = 0
if ARGV[3] ~= '' and ARGV[3] ~= ARGV[4] then
  if was_sent_off(ARGV[1], ARGV[2]) then end_absence(ARGV[3], ARGV[2]) end
  notices = announce(ARGV[6], ARGV[3], ARGV[2], take_out(ARGV[1], ARGV[2], ARGV[3]))
end
if ARGV[4] == '' then return {notices} end
local number = put_in(ARGV[1], ARGV[2], ARGV[4], ARGV[5])
local code = number and returns(ARGV[4], ARGV[2]) and '' or ARGV[7]
notices = notices + announce(code, ARGV[4], ARGV[2], number)
return {notices, replay(P .. 'h:' .. ARGV[4], P .. 'g:' .. ARGV[4], ARGV[8], ARGV[9], ARGV[10])}
