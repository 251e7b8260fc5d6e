-- The posts of one node in one tick: post.lua for many messages, without keys. ARGV: for each group its name, how many
-- subscriptions to its channel the node itself has (0 or 1), and the number of messages; then each message, and who is
-- charged for it ('' for nobody). Returns for each group: the number of its last message (0 if there is no such group), the
-- number of members, and a list of those that were refused: index and milliseconds of each; or -1, an error, and nothing.
-- The node delivers its own messages itself. They are published only if another node receives the group.
-- An error in one group, such as a key of the wrong type, concerns no other group.
local time, channels, results = seconds(), {'SHARDNUMSUB'}, {}
local none, at, last = {}, 1, #ARGV
while at < last do
  channels[#channels + 1] = P .. 'c:' .. ARGV[at]
  at = at + 3 + 2 * ARGV[at + 2]
end
local subscribed = redis.pcall('PUBSUB', unpack(channels)) -- if that is not allowed, everything is published

local function post(group, own, first, behind, channel, subscriptions)
  local numbers = P .. 'g:' .. group
  local found = redis.call('HMGET', numbers, 's', 'b', 'k', 't', 'p', 'c')
  if not found[1] then return 0, 0, none end
  local entries, refused, pool, total = {}, none, tonumber(found[5] or 0), 0
  for i = first, behind - 1, 2 do
    local size = MOST > 0 and #ARGV[i] + OVERHEAD or 0
    local left = pay(ARGV[i + 1], size, 0, pool)
    if left then
      pool, total = left, total + size
      entries[#entries + 1] = ARGV[i]
    else
      if refused == none then refused = {} end
      refused[#refused + 1] = (i - first) / 2
      refused[#refused + 1] = refusal(ARGV[i + 1])[1]
    end
  end
  local members = tonumber(found[6] or 0)
  if #entries == 0 then return tonumber(found[1]), members, refused end
  local seq = keep(P .. 'h:' .. group, numbers, found, pool, MOST, time, entries, total)
  if not subscriptions or subscriptions > tonumber(own) then
    for i, entry in ipairs(entries) do
      redis.call('SPUBLISH', channel, 'M' .. string.format('%.0f', seq - #entries + i) .. ' ' .. entry)
    end
  end
  return seq, members, refused
end

local number = 0
at = 1
while at < last do
  local first = at + 3
  local behind = first + 2 * ARGV[at + 2]
  number = number + 2
  local done, seq, members, refused =
    pcall(post, ARGV[at], ARGV[at + 1], first, behind, channels[number / 2 + 1], subscribed[number])
  if not done then seq, members, refused = -1, type(seq) == 'table' and seq.err or tostring(seq), none end
  local n = #results
  results[n + 1], results[n + 2], results[n + 3] = seq, members, refused
  at = behind
end
return results
