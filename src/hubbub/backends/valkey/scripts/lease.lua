-- Which incarnations may change anything.

-- Whether this incarnation is current. It ends when the node opens another connection or is declared dead (score 0).
local function is_current(incarnation)
  local lease = redis.call('ZSCORE', P .. 'lives', incarnation)
  return lease and tonumber(lease) > 0
end

local STALE = {err = 'STALE this incarnation of the node has ended'}
