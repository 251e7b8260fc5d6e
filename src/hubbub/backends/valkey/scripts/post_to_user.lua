-- Number a private message in the inbox of a user, keep it, and send it to the nodes where the user is connected. ARGV:
-- user, the message, its key ('' for none), the least number of recipients, who is charged ('' for nobody), and 1 if a
-- connection of the user posts it and does not receive it, else 0.
-- Returns how many connections it was sent to, otherwise as post.lua.
local numbers, scope, entry = P .. 'j:' .. ARGV[1], P .. 'k:' .. ARGV[3], ARGV[2]
local known = ARGV[3] ~= '' and redis.call('GET', scope)
if known then return tonumber(known) end
local nodes = redis.call('HVALS', P .. 'u:' .. ARGV[1])
local own = tonumber(ARGV[6] or 0)
if #nodes - own < tonumber(ARGV[4]) then return -1 - #nodes + own end
local found = redis.call('HMGET', numbers, 's', 'b', 'k', 't', 'p')
if not found[1] then return 0 end
local size = INBOX > 0 and #entry + OVERHEAD or 0
local pool = pay(ARGV[5], size, ARGV[3] ~= '' and KEY or 0, tonumber(found[5] or 0))
if not pool then return refusal(ARGV[5]) end
local seq = keep(P .. 'i:' .. ARGV[1], numbers, found, pool, INBOX, seconds(), {entry}, size)
local receivers, recipients, payload = {}, 0, 'P' .. string.format('%.0f', seq) .. ' ' .. entry
for _, node in ipairs(nodes) do
  if receivers[node] == nil then receivers[node] = redis.call('SPUBLISH', P .. 'o:' .. node, payload) end
  recipients = recipients + receivers[node]
end
recipients = math.max(0, recipients - own)
if ARGV[3] ~= '' then redis.call('SET', scope, recipients, 'PX', AGE) end
return recipients
