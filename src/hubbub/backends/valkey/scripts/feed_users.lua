-- What the feed says of users, in a group or not.

-- The user and the connection of a row.
local function parse_row(row)
  local first, last = string.find(row, '\0\0', 1, true)
  return (string.gsub(string.sub(row, 1, first - 1), '%z\255', '\0')), string.sub(row, last + 1)
end

-- The user of `row` has no connection at all any more, unless it is expected back: see `joined_events`.
local function offline_events(row, why)
  return absent_row('', row) and '' or 'F' .. why .. '0 0 '
end
