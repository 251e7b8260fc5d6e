-- Absences: see groups/absences.py. An entry of `absences` is the length of the group's name, a space, the name, the row.
-- In the place of a group, '' says that the user is expected to be online again; that is kept for the feed only.

-- The bounds between which all rows of the user of `row` lie.
local function span(row)
  local _, last = string.find(row, '\0\0', 1, true)
  return '[' .. string.sub(row, 1, last), '(' .. string.sub(row, 1, last - 1) .. '\1'
end

-- The user and the connection of a row.
local function parse_row(row)
  local first, last = string.find(row, '\0\0', 1, true)
  return (string.gsub(string.sub(row, 1, first - 1), '%z\255', '\0')), string.sub(row, last + 1)
end

local function end_absence(group, row)
  redis.call('ZREM', P .. 'a:' .. group, row)
  redis.call('ZREM', P .. 'absences', #group .. ' ' .. group .. row)
end

-- One row of the user of `row` that is expected back in `group`, or nil.
local function absent_row(group, row)
  local first, last = span(row)
  return redis.call('ZRANGE', P .. 'a:' .. group, first, last, 'BYLEX', 'LIMIT', 0, 1)[1]
end

-- Whether the user of `row`, which has joined `group`, was expected back. If so, one absence is over.
local function was_expected(group, row)
  local absent = absent_row(group, row)
  if absent then end_absence(group, absent) end
  return absent
end
