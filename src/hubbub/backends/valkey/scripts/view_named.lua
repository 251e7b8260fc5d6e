-- The numbers of some groups. ARGV: their names. Returns users and connections of each; what it reads is tracked.
local found = {}
for i = 1, #ARGV do
  local numbers = redis.pcall('HMGET', P .. 'g:' .. ARGV[i], 'u', 'c')
  local connections = tonumber(numbers[2] or 0)
  found[2 * i - 1] = connections > 0 and tonumber(numbers[1] or 0) or 0 -- the last one who leaves does not reset it
  found[2 * i] = connections
end
return found
