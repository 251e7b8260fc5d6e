-- What all scripts share. This file is put in front of each (see __init__.py), after the settings MOST, BYTES, AGE
-- (milliseconds), INBOX and USER, which say how much is kept (see groups/history.py). KEYS[1] is the prefix of the shard
-- that the script works in (see schema.py). All other keys begin with it, so they have its hash tag, and one server of a
-- cluster holds them all.

local P = KEYS[1]

local function now()
  local time = redis.call('TIME')
  return time[1] * 1000 + math.floor(time[2] / 1000)
end

local function seconds()
  return tonumber(redis.call('TIME')[1])
end
