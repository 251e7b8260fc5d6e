-- Move a member from one group to another. ARGV: incarnation, row, old group, new group ('' for none), an epoch in case
-- the new group does not exist, code for the old group, code for the new group ('' to announce nothing), what to replay of
-- the new group (see `replay`), and the user who pays if that group is new ('' for nobody). Returns the number of notices,
-- and what `replay` does; or -1 and a `refusal`, and nothing was done.
if not is_current(ARGV[1]) then return STALE end
local feed, absent = P .. 'feed', P .. 'absences'
local found = redis.call('EXISTS', P .. 'g:' .. ARGV[4], feed, feed, absent, absent, absent, absent) -- 1 + 2 + 4
local absences = found > 3
if not FEED and found % 4 > 1 then return 'FEED' end
if ARGV[11] ~= '' and ARGV[4] ~= '' and found % 2 == 0
  and over_budget(ARGV[11], GROUP + #ARGV[4]) then
  return {-1, refusal(ARGV[11])}
end
local notices, events = 0, ''
if ARGV[3] ~= '' and ARGV[3] ~= ARGV[4] then
  if was_sent_off(ARGV[1], ARGV[2]) then end_absence(ARGV[3], ARGV[2]) end
  local number, users = remove_member(ARGV[1], ARGV[2], ARGV[3])
  notices = announce(ARGV[6], ARGV[3], ARGV[2], number)
  if FEED and users then events = left_events(ARGV[3], ARGV[2], users, absences, 'l') end
end
if ARGV[4] == '' then
  if FEED then write_feed(ARGV[2], events, ARGV[12]) end
  return {notices}
end
local number, users = add_member(ARGV[1], ARGV[2], ARGV[4], ARGV[5])
local returned = number and absences and was_expected(ARGV[4], ARGV[2])
notices = notices + announce(returned and '' or ARGV[7], ARGV[4], ARGV[2], number)
if FEED then
  if users then events = events .. joined_events(ARGV[4], users, absences, returned) end
  write_feed(ARGV[2], events, ARGV[12])
end
return {notices, replay(P .. 'h:' .. ARGV[4], P .. 'g:' .. ARGV[4], ARGV[8], ARGV[9], ARGV[10])}
