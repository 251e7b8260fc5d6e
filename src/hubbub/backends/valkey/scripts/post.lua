-- Number a message of a group, keep it, and publish it to the nodes. ARGV: group, the message, its key ('' for none), the
-- least number of recipients, who is charged ('' for nobody), and 1 if the member that posts does not receive it, else 0.
-- Returns the number of recipients; if the key was used before, the first result; -1 or less if there are too few, and
-- nothing was sent; or a `refusal`.
-- A group without members keeps its history for the window. In one that does not exist nobody receives anything.
local key, scope, entry = P .. 'g:' .. ARGV[1], P .. 'k:' .. ARGV[3], ARGV[2]
local known = ARGV[3] ~= '' and redis.call('GET', scope)
if known then return tonumber(known) end
local found = redis.call('HMGET', key, 's', 'b', 'k', 't', 'p', 'c')
local members = tonumber(found[6] or 0) - (ARGV[6] or 0)
if members < tonumber(ARGV[4]) then return -1 - members end
if not found[1] then return 0 end
local size = MOST > 0 and #entry + OVERHEAD or 0
local pool = pay(ARGV[5], size, ARGV[3] ~= '' and KEY or 0, tonumber(found[5] or 0))
if not pool then return refusal(ARGV[5]) end
local seq = keep(P .. 'h:' .. ARGV[1], key, found, pool, MOST, seconds(), {entry}, size)
redis.call('SPUBLISH', P .. 'c:' .. ARGV[1], 'M' .. string.format('%.0f', seq) .. ' ' .. entry)
if ARGV[3] ~= '' then redis.call('SET', scope, members, 'PX', AGE) end
return members
