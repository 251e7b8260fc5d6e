-- Remove a member from its group. ARGV: incarnation, row, group, code ('' to announce nothing). Returns the number of
-- notices.
if not is_current(ARGV[1]) then return STALE end
if not FEED and redis.call('EXISTS', P .. 'feed') == 1 then return 'FEED' end
if was_sent_off(ARGV[1], ARGV[2]) then end_absence(ARGV[3], ARGV[2]) end
local number, users = remove_member(ARGV[1], ARGV[2], ARGV[3])
if FEED and users then write_feed(ARGV[2], left_events(ARGV[3], ARGV[2], users, true, 'l'), ARGV[5]) end
return announce(ARGV[4], ARGV[3], ARGV[2], number)
