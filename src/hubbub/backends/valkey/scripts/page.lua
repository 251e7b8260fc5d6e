-- One page of an order. ARGV: names or sizes, most rows, 1 for descending, then pairs of bounds as ZRANGE takes them, in
-- the direction of the listing. Returns group, users, connections for each row, in one flat list.
local found, most, digits = {}, tonumber(ARGV[2]), ARGV[1] == 'sizes' and 10 or 0
for i = 4, #ARGV, 2 do
  local members
  if ARGV[3] == '1' then
    members = redis.call('ZRANGE', P .. ARGV[1], ARGV[i], ARGV[i + 1], 'BYLEX', 'REV', 'LIMIT', 0, most - #found / 3)
  else
    members = redis.call('ZRANGE', P .. ARGV[1], ARGV[i], ARGV[i + 1], 'BYLEX', 'LIMIT', 0, most - #found / 3)
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
