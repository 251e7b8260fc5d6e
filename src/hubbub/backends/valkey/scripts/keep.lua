-- Numbers and keeps messages, and charges their senders.

-- Charge `user` ('' for nobody) with the bytes that are kept because of it; `bytes` is negative if less is kept than
-- before. Returns whether the user is over its limit; then nothing was charged. The account starts again after twice the
-- window: see groups/kept_bytes.py.
local function over_budget(user, bytes)
  if bytes == 0 or USER == 0 or user == '' then return false end
  local account = P .. 'b:' .. user
  local charged = redis.pcall('INCRBY', account, bytes)
  if type(charged) == 'table' then return false end -- the account has the wrong type; the script must still finish
  if charged == bytes then redis.call('PEXPIRE', account, 2 * AGE) end
  if charged <= 0 then redis.call('DEL', account) end
  if bytes < 0 or charged <= USER then return false end
  redis.call('DECRBY', account, bytes)
  return true
end

-- The reply to a sender whose limit is reached: a list, so that it cannot be mistaken for a number of recipients.
local function refusal(user)
  return {math.max(1, redis.call('PTTL', P .. 'b:' .. user))}
end

-- Give an entry of `sender` the next number and append it to a history of at most `most` entries. `numbers` is the hash
-- with its numbers, `known` its fields s, b, k, t, o. `extra` is how many bytes are kept besides. Returns the number as
-- text, or nil if the sender's budget is spent.
--
-- `k` is the number of the last entry of the list. A node with other settings, or an older version, may number messages
-- without keeping them; then `k` differs from `s`, the numbers of the entries are not known any more, and they are dropped.
-- At time `t`, in seconds, the last number was `o`: when that is a window ago, the entries up to `o` are too old. Without
-- new entries the whole list expires, a window after its last entry or later.
local function keep(history, numbers, known, entry, most, sender, extra)
  local last = tonumber(known[1])
  local seq = string.format('%.0f', last + 1) -- done once: it costs as much as a call
  if most == 0 then
    if over_budget(sender, extra) then return nil end
    redis.call('HSET', numbers, 's', seq)
    return seq
  end
  if known[3] ~= known[1] and last > 0 then redis.call('DEL', history) end
  local length, size, before = redis.call('RPUSH', history, entry), #entry + OVERHEAD, 0
  if length > 1 then before = tonumber(known[2]) end
  size = size + before
  local time, mark, old = tonumber(redis.call('TIME')[1]), tonumber(known[4]), 0
  local due = not mark or time - mark > AGE / 1000 or time < mark
  if due and mark then old = tonumber(known[5]) end
  while length > 0 and (length > most or size > BYTES or last - length < old - 1) do
    size = size - #redis.call('LPOP', history) - OVERHEAD
    length = length - 1
  end
  if over_budget(sender, size - before + extra) then
    if length > 0 then
      redis.call('RPOP', history)
      size = size - #entry - OVERHEAD
    end
    redis.call('HSET', numbers, 'b', size, 'k', known[1])
    return nil
  end
  if due or length == 1 then
    redis.call('HSET', numbers, 's', seq, 'b', size, 'k', seq, 't', time, 'o', seq)
    redis.call('PEXPIRE', history, 2 * AGE + 1000)
  elseif size == before then
    redis.call('HSET', numbers, 's', seq, 'k', seq)
  else
    redis.call('HSET', numbers, 's', seq, 'b', size, 'k', seq)
  end
  return seq
end
