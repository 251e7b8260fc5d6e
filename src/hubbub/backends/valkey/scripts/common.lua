-- What all scripts share; this file is put in front of each, see scripts/__init__.py, and in front of it the settings
-- MOST, BYTES, AGE (milliseconds), INBOX and USER: how much is kept, see groups/history.py. KEYS[1] is the prefix of the
-- shard that the script works in, see schema.py. All other keys begin with it, so they have its hash tag and lie on the
-- same node of a cluster.

local P = KEYS[1]

local function now()
  local time = redis.call('TIME')
  return time[1] * 1000 + math.floor(time[2] / 1000)
end
