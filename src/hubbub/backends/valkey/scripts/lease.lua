-- Whose commands are carried out.

-- Whether commands of this life count. It ends when the node opens another connection or is declared dead (score 0).
local function lives(life)
  local heard = redis.call('ZSCORE', P .. 'lives', life)
  return heard and tonumber(heard) > 0
end

local STALE = {err = 'STALE this life of the node has ended'}
