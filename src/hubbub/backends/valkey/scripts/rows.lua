-- Rows of an order: `order` is names or sizes, `most` how many, `reverse` 1 for descending; ARGV has pairs of bounds as ZRANGE
-- takes them from `first` to `last`, in the direction of the listing. Returns group, users, connections for each row, in one
-- flat list.
local function rows(order, most, reverse, first, last)
  local found, digits = {}, order == 'sizes' and 10 or 0
  for i = first, last, 2 do
    local members
    if reverse == '1' then
      members = redis.call('ZRANGE', P .. order, ARGV[i], ARGV[i + 1], 'BYLEX', 'REV', 'LIMIT', 0, most - #found / 3)
    else
      members = redis.call('ZRANGE', P .. order, ARGV[i], ARGV[i + 1], 'BYLEX', 'LIMIT', 0, most - #found / 3)
    end
    for _, member in ipairs(members) do
      local group = string.sub(member, digits + 1)
      -- pcall: if this key has the wrong type, or was just deleted for that, the page continues: see wrong_schema.py.
      local numbers = redis.pcall('HMGET', P .. 'g:' .. group, 'u', 'c')
      found[#found + 1] = group
      found[#found + 1] = tonumber(digits > 0 and string.sub(member, 1, digits) or numbers[1] or 0)
      found[#found + 1] = tonumber(numbers[2] or 0)
    end
  end
  return found
end
