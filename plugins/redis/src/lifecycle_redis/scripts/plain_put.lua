local held = redis.call('get', KEYS[1])
if held and not string.find(held, ARGV[3], 1, true) then
  if ARGV[4] == '' or not string.find(held, ARGV[4], 1, true) then return held end
end
redis.call('set', KEYS[1], ARGV[1], 'px', ARGV[2])
redis.call('publish', KEYS[1], 'register')
return false
