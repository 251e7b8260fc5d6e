-- Send a private message to the nodes where a user is connected, without a number: it is not kept. ARGV and result are those
-- of post_to_user.lua; key and charge are not used.
local nodes = redis.call('HVALS', P .. 'u:' .. ARGV[1])
if #nodes - ARGV[6] < tonumber(ARGV[4]) then return -1 - #nodes + ARGV[6] end
local receivers, recipients = {}, 0
for _, node in ipairs(nodes) do
  if receivers[node] == nil then receivers[node] = redis.call('SPUBLISH', P .. 'o:' .. node, 'P0 ' .. ARGV[2]) end
  recipients = recipients + receivers[node]
end
return math.max(0, recipients - ARGV[6])
