-- Returns the users who are kept out now.
return redis.call('ZRANGE', P .. 'bans', '(' .. now(), '+inf', 'BYSCORE')
