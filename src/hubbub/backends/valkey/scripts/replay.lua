-- What was said lately, for whoever comes or comes back.

-- What somebody has to hear who comes to a history: its epoch, its last number, 1 if there is a gap, and the entries up
-- to that number. `since` is '' or '=' and the epoch of the position that the other is at, `seq` its number. `number` is how many
-- of the last entries are asked for without `since`, or with a gap.
local function replay(history, numbers, since, seq, number)
  local found = redis.call('HMGET', numbers, 'e', 's', 'k')
  if not found[1] then return {'', 0, 1, {}} end
  -- The numbers of another run of the store may be those of other messages: see register.lua.
  local epoch, last = found[1] .. '/' .. (redis.call('GET', P .. 'run:epoch') or ''), tonumber(found[2])
  local gap, count, kept = 0, tonumber(number), found[3] == found[2] -- else it is not known which entries there are
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
