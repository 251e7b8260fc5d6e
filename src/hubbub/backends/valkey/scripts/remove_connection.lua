-- Remove a lost connection. ARGV: incarnation, row, its group ('' for none). Returns the number of notices.
if not is_current(ARGV[1]) then return STALE end
local notices = 0
if ARGV[3] ~= '' then
  local code = was_sent_off(ARGV[1], ARGV[2]) and '' or 'D'
  notices = announce(code, ARGV[3], ARGV[2], remove_member(ARGV[1], ARGV[2], ARGV[3], 'd'))
end
forget(ARGV[1], ARGV[2], 'd')
return notices
