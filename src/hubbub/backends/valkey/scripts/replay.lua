-- What a client receives from a history when it joins or reconnects.
--
-- Returns the history's epoch, its last number, 1 if there is a gap, and the entries up to that number. `since` is '' or
-- '=' and the epoch of the client's position, `seq` the number of that position. `number` is how many of the last entries
-- are returned without `since`, or with a gap.
local function replay(history, numbers, since, seq, number)
  local found = redis.call('HMGET', numbers, 'e', 's', 'k')
  if not found[1] then return {'', 0, 1, {}} end
  -- The numbers of another run of the store may be those of other messages: see register.lua.
  local epoch, last = found[1] .. '/' .. (redis.call('GET', P .. 'run:epoch') or ''), tonumber(found[2])
  local gap, count, kept = 0, tonumber(number), found[3] == found[2] -- otherwise the numbers of the entries are not known
  if since ~= '' then
    local behind = last - tonumber(seq)
    if since == '=' .. epoch and (behind == 0 or kept and behind > 0 and behind <= redis.call('LLEN', history)) then
      count = behind
    else
      gap = 1
    end
  end
  local entries = kept and count > 0 and redis.call('LRANGE', history, -count, -1) or {}
  return {epoch, last, gap, entries}
end
