-- The version of a node that is alive and writes no events, or nil: then the feed would not be complete.
local function silent_node()
  for _, incarnation in ipairs(redis.call('ZRANGE', P .. 'lives', 1, '+inf', 'BYSCORE')) do
    local version = tonumber(string.match(incarnation, '^(%d+)~') or 1)
    if version < 2 then return version end
  end
end
