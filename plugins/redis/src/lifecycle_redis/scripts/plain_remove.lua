local held = redis.call('get', KEYS[1])
if not held or not string.find(held, ARGV[1], 1, true) then return 0 end
redis.call('del', KEYS[1])
redis.call('publish', KEYS[1], 'unregister')
return 1
