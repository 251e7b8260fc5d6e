-- Give a private message its place in the inbox of a user, keep it, and send it to the nodes where the user is. ARGV:
-- user, the message, its key ('' for none), the least number of connections that must be there.
-- Returns how many connections it was sent to, else as post.lua.
local numbers, scope = P .. 'j:' .. ARGV[1], P .. 'k:' .. ARGV[3]
local known = ARGV[3] ~= '' and redis.call('GET', scope)
if known then return tonumber(known) end
local nodes = redis.call('HVALS', P .. 'u:' .. ARGV[1])
if #nodes < tonumber(ARGV[4]) then return -1 - #nodes end
if redis.call('EXISTS', numbers) == 0 then return 0 end
local seq, heard, recipients = redis.call('HINCRBY', numbers, 's', 1), {}, 0
keep(P .. 'i:' .. ARGV[1], numbers, ARGV[2], INBOX)
for _, node in ipairs(nodes) do
  if heard[node] == nil then
    heard[node] = redis.call('SPUBLISH', P .. 'o:' .. node, 'P' .. seq .. ' ' .. ARGV[2])
  end
  recipients = recipients + heard[node]
end
if ARGV[3] ~= '' then redis.call('SET', scope, recipients, 'PX', AGE) end
return recipients
