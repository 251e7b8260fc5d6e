-- Some of the members of all groups, for a snapshot of the feed, each user once. ARGV: the group at which to go on, the bound
-- in it from which to do so ('' if the group is done), most rows. Returns groups, each with its number of users and a list of
-- rows, and the next two arguments; the list ends without them.
local found, group, from, left = {}, ARGV[1], ARGV[2], tonumber(ARGV[3])
local after = group == '' and '-' or '(' .. group
while left > 0 do
  if from == '' then
    group = redis.call('ZRANGE', P .. 'names', after, '+', 'BYLEX', 'LIMIT', 0, 1)[1]
    if not group then return {found} end
    from = '-'
  end
  local rows, users, past = redis.call('ZRANGE', P .. 'm:' .. group, from, '+', 'BYLEX', 'LIMIT', 0, left), {}, nil
  from = ''
  for _, row in ipairs(rows) do
    local _, last = span(row)
    if last ~= past then users[#users + 1] = row end
    past = last
  end
  found[#found + 1] = {group, tonumber(redis.call('HGET', P .. 'g:' .. group, 'u') or 0), users}
  after, left = '(' .. group, left - #rows - 1
  if left <= 0 and past then from = past end
end
return {found, group, from}
