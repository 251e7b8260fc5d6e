-- Publish a message to a group without a number: it is not kept. ARGV and result are those of post.lua; key and charge are
-- not used.
local members = tonumber(redis.call('HGET', P .. 'g:' .. ARGV[1], 'c') or 0) - ARGV[6]
if members < tonumber(ARGV[4]) then return -1 - members end
redis.call('SPUBLISH', P .. 'c:' .. ARGV[1], 'M0 ' .. ARGV[2])
return members
