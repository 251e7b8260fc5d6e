-- Returns the users who are banned now.
return redis.call('ZRANGE', P .. 'bans', '(' .. now(), '+inf', 'BYSCORE')
