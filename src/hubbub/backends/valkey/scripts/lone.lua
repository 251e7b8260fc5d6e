-- One post alone, the usual case: what posts.lua does, without its functions, each of which costs time in every run. What
-- is not usual (a new or expired history, a mark that is due, a sender over the limit) is left to posts.lua.
if #ARGV == 5 and MOST > 0 then
  local call, numbers, entry = redis.call, P .. 'g:' .. ARGV[1], ARGV[4]
  local found = call('HMGET', numbers, 's', 'b', 'k', 't', 'p', 'c')
  local seq, bytes, mark, pool = found[1], found[2], found[4], tonumber(found[5] or 0)
  if bytes and seq == found[3] and mark then
    local time, size = tonumber(call('TIME')[1]), #entry + OVERHEAD
    bytes = bytes + size
    if time - mark <= AGE / 1000 and time >= tonumber(mark) and bytes <= BYTES * 17 / 16 then
      local account, charge, paid = P .. 'b:' .. ARGV[5], 0, true
      if USER > 0 and pool < size and ARGV[5] ~= '' then
        charge = size - pool
        local charged = redis.pcall('INCRBY', account, charge)
        paid = type(charged) == 'number' and charged > charge and charged <= USER
      end
      local length = paid and call('RPUSHX', P .. 'h:' .. ARGV[1], entry) or 0
      if length == 0 then
        if charge > 0 then redis.pcall('DECRBY', account, charge) end
      else
        seq, pool = seq + 1, math.max(0, pool - size)
        if length > MOST + math.floor(MOST / 16) then
          for _, gone in ipairs(call('LPOP', P .. 'h:' .. ARGV[1], length - MOST)) do
            bytes, pool = bytes - #gone - OVERHEAD, pool + #gone + OVERHEAD
          end
        end
        call('HSET', numbers, 's', seq, 'k', seq, 'b', bytes, 'p', pool)
        local channel = P .. 'c:' .. ARGV[1]
        local subscribed = redis.pcall('PUBSUB', 'SHARDNUMSUB', channel)[2]
        if not subscribed or subscribed > tonumber(ARGV[2]) then
          call('SPUBLISH', channel, 'M' .. string.format('%.0f', seq) .. ' ' .. entry)
        end
        return {seq, tonumber(found[6] or 0), {}}
      end
    end
  end
end
