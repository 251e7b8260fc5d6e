-- What a node has missed. ARGV: 'group' or 'user', the name, and the position up to which the node has received it (see
-- `replay`). Returns what `replay` does.
local history, numbers = 'h:', 'g:'
if ARGV[1] == 'user' then history, numbers = 'i:', 'j:' end
return replay(P .. history .. ARGV[2], P .. numbers .. ARGV[2], ARGV[3], ARGV[4], 0)
