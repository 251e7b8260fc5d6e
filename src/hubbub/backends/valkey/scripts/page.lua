-- One page of an order. ARGV: names or sizes, most rows, 1 for descending, then pairs of bounds: see rows.lua.
return rows(ARGV[1], tonumber(ARGV[2]), ARGV[3], 4, #ARGV)
