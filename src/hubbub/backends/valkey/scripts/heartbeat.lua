#!lua flags=allow-oom
-- Renew the lease of a node, and nothing else: see heartbeat.py. common.lua is not put in front of this script.
-- ARGV: incarnation, milliseconds between heartbeats. Returns 1, or 0 if that incarnation has ended.
local P = KEYS[1]
local lease = redis.call('ZSCORE', P .. 'lives', ARGV[1])
if not lease or tonumber(lease) == 0 then return 0 end
local clock = redis.call('TIME')
local time, pulse = clock[1] * 1000 + math.floor(clock[2] / 1000), tonumber(redis.call('GET', P .. 'pulse') or 0)
-- As in sweep.lua: if no heartbeat of any node has arrived for so long, the store was away, and no lease expires.
if math.abs(time - pulse) > 3 * ARGV[2] then
  for _, incarnation in ipairs(redis.call('ZRANGE', P .. 'lives', 1, '+inf', 'BYSCORE')) do
    redis.call('ZADD', P .. 'lives', time, incarnation)
  end
end
redis.call('SET', P .. 'pulse', time)
redis.call('ZADD', P .. 'lives', time, ARGV[1])
return 1
