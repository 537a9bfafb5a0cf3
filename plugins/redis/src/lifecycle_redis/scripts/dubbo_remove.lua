local removed = redis.call('hdel', KEYS[1], ARGV[1])
if removed == 1 then redis.call('publish', KEYS[1], 'unregister') end
return removed
