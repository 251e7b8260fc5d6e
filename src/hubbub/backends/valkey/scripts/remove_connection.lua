-- Remove a lost connection. ARGV: incarnation, row, its group ('' for none). Returns the number of notices.
if not is_current(ARGV[1]) then return STALE end
if not FEED and redis.call('EXISTS', P .. 'feed') == 1 then return 'FEED' end
local notices, events = 0, ''
if ARGV[3] ~= '' then
  local code = was_sent_off(ARGV[1], ARGV[2]) and '' or 'D'
  local number, users = remove_member(ARGV[1], ARGV[2], ARGV[3])
  notices = announce(code, ARGV[3], ARGV[2], number)
  if FEED and users then events = left_events(ARGV[3], ARGV[2], users, true, 'd') end
end
local offline = forget(ARGV[1], ARGV[2])
if FEED then write_feed(ARGV[2], offline and events .. offline_events(ARGV[2], 'd') or events, ARGV[4]) end
return notices
