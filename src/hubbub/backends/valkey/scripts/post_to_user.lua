-- Number a private message in the inbox of a user, keep it, and send it to the nodes where the user is connected. ARGV:
-- user, the message, its key ('' for none), the least number of connections, who is charged ('' for nobody).
-- Returns how many connections it was sent to, otherwise as post.lua.
local numbers, scope = P .. 'j:' .. ARGV[1], P .. 'k:' .. ARGV[3]
local known = ARGV[3] ~= '' and redis.call('GET', scope)
if known then return tonumber(known) end
local nodes = redis.call('HVALS', P .. 'u:' .. ARGV[1])
if #nodes < tonumber(ARGV[4]) then return -1 - #nodes end
local found = redis.call('HMGET', numbers, 's', 'b', 'k', 't', 'o')
if not found[1] then return 0 end
local seq = keep(P .. 'i:' .. ARGV[1], numbers, found, ARGV[2], INBOX, ARGV[5], ARGV[3] ~= '' and KEY or 0)
if not seq then return refusal(ARGV[5]) end
local receivers, recipients = {}, 0
for _, node in ipairs(nodes) do
  if receivers[node] == nil then
    receivers[node] = redis.call('SPUBLISH', P .. 'o:' .. node, 'P' .. seq .. ' ' .. ARGV[2])
  end
  recipients = recipients + receivers[node]
end
if ARGV[3] ~= '' then redis.call('SET', scope, recipients, 'PX', AGE) end
return recipients
