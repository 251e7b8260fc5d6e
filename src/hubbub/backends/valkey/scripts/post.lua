-- Give a message its place and send it to the nodes. ARGV: group, the message. Returns the number of connections that
-- the group has, or 0 if there is no such group; then nothing was sent.
local key = P .. 'g:' .. ARGV[1]
local members = redis.call('HGET', key, 'c')
if not members then return 0 end
local seq = redis.call('HINCRBY', key, 's', 1)
redis.call('SPUBLISH', P .. 'c:' .. ARGV[1], 'M' .. seq .. ' ' .. ARGV[2])
return tonumber(members)
