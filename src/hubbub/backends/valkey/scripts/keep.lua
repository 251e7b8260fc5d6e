-- Numbers and keeps messages, and charges their senders.

-- Charge `user` ('' for nobody) with the bytes that are kept because of it. Returns whether the user is over its limit; then
-- nothing was charged. The account starts again after twice the window: see groups/kept_bytes.py.
local function over_budget(user, bytes)
  if bytes == 0 or USER == 0 or user == '' then return false end
  local account = P .. 'b:' .. user
  local charged = redis.pcall('INCRBY', account, bytes)
  if type(charged) == 'table' then return false end -- the account has the wrong type; the script must still finish
  if charged == bytes then redis.call('PEXPIRE', account, 2 * AGE) end
  if charged <= USER then return false end
  redis.call('DECRBY', account, bytes)
  return true
end

-- The reply to a sender whose limit is reached: a list, so that it cannot be mistaken for a number of recipients.
local function refusal(user)
  return {math.max(1, redis.call('PTTL', P .. 'b:' .. user))}
end

-- Charge `user` with an entry of `size` bytes, and `extra` bytes that are kept besides. What was dropped from the history
-- since it was full is in `pool`, and is paid already: so a user is charged only for what the history grows by, and never
-- more than for its own entries. Returns the pool that is left, or nil if the user is over its limit.
local function pay(user, size, extra, pool)
  local free = math.min(pool, size)
  if over_budget(user, size - free + extra) then return nil end
  return pool - free
end

-- Give `entries` of together `size` bytes the next numbers, and append them to a history of `most` entries. `numbers` is
-- the hash with its numbers, `known` its fields s, b, k, t, p; `pool` is what `pay` has returned, `time` is in seconds.
-- Returns the last number.
--
-- The history may exceed its limits by a sixteenth: to drop entries in chunks costs less than one for each message.
-- `k` is the number of the last entry of the list. A node with other settings, or an older version, may number messages
-- without keeping them; then `k` differs from `s`, the numbers of the entries are not known any more, and they are dropped.
-- At time `t`, in seconds, the last number was `o`: when that is a window ago, the entries up to `o` are too old. Without
-- new entries the whole list expires, a window after its last entry or later.
local function keep(history, numbers, known, pool, most, time, entries, size)
  local last, count = tonumber(known[1]), #entries
  local seq = last + count
  if most == 0 then
    redis.call('HSET', numbers, 's', seq)
    return seq
  end
  if known[3] ~= known[1] and last > 0 then redis.call('DEL', history) end
  local length = redis.call('RPUSH', history, unpack(entries))
  local began, mark, drop = length == count, tonumber(known[4]), 0
  if not began then size = size + tonumber(known[2]) end
  local due = not mark or time - mark > AGE / 1000 or time < mark
  if due and mark then drop = math.min(length, tonumber(redis.call('HGET', numbers, 'o') or 0) - seq + length) end
  if length - drop > most + math.floor(most / 16) then drop = length - most end
  while length > 0 and (drop > 0 or size > BYTES * 17 / 16) do
    if drop <= 0 then drop = math.max(1, math.floor((size - BYTES) * length / size)) end
    for _, gone in ipairs(redis.call('LPOP', history, drop)) do
      local freed = #gone + OVERHEAD
      size, pool = size - freed, pool + freed
    end
    length, drop = length - drop, 0
  end
  if due or began then
    redis.call('HSET', numbers, 's', seq, 'k', seq, 'b', size, 'p', pool, 't', time, 'o', seq)
    redis.call('PEXPIRE', history, 2 * AGE + 1000)
  elseif pool == tonumber(known[5] or 0) then
    redis.call('HSET', numbers, 's', seq, 'k', seq, 'b', size)
  else
    redis.call('HSET', numbers, 's', seq, 'k', seq, 'b', size, 'p', pool)
  end
  return seq
end
