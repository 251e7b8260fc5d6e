-- Number a message of a group, keep it, and publish it to the nodes. ARGV: group, the message, its key ('' for none), the
-- least number of members, who is charged ('' for nobody). Returns the number of members; if the key was used before, the
-- first result; -1 or less if there are too few members, and nothing was sent; or a `refusal`.
-- A group without members keeps its history for the window. In one that does not exist nobody receives anything.
local key, scope = P .. 'g:' .. ARGV[1], P .. 'k:' .. ARGV[3]
local known = ARGV[3] ~= '' and redis.call('GET', scope)
if known then return tonumber(known) end
local found = redis.call('HMGET', key, 's', 'b', 'k', 't', 'o', 'c')
local members = tonumber(found[6] or 0)
if members < tonumber(ARGV[4]) then return -1 - members end
if not found[1] then return 0 end
local seq = keep(P .. 'h:' .. ARGV[1], key, found, ARGV[2], MOST, ARGV[5], ARGV[3] ~= '' and KEY or 0)
if not seq then return refusal(ARGV[5]) end
redis.call('SPUBLISH', P .. 'c:' .. ARGV[1], 'M' .. seq .. ' ' .. ARGV[2])
if ARGV[3] ~= '' then redis.call('SET', scope, members, 'PX', AGE) end
return members
