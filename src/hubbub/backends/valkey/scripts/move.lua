-- Take a member out of one group and into another. ARGV: life, row, old group, new group ('' for none), an epoch in
-- case the new group does not exist, code for the old group, code for the new group ('' to announce nothing), and what to
-- replay of the new group (see `replay`). Returns the number of notices, and what `replay` does.
if not lives(ARGV[1]) then return STALE end
local notices = 0
if ARGV[3] ~= '' and ARGV[3] ~= ARGV[4] then
  notices = announce(ARGV[6], ARGV[3], ARGV[2], take_out(ARGV[1], ARGV[2], ARGV[3]))
end
if ARGV[4] == '' then return {notices} end
notices = notices + announce(ARGV[7], ARGV[4], ARGV[2], put_in(ARGV[1], ARGV[2], ARGV[4], ARGV[5]))
return {notices, replay(P .. 'h:' .. ARGV[4], P .. 'g:' .. ARGV[4], ARGV[8], ARGV[9], ARGV[10])}
