if ARGV[3] ~= '' then
  for _, field in ipairs(redis.call('hkeys', KEYS[1])) do
    if field ~= ARGV[1] and string.sub(field, 1, #ARGV[3]) == ARGV[3] then
      redis.call('hdel', KEYS[1], field)
    end
  end
end
redis.call('hset', KEYS[1], ARGV[1], ARGV[2])
redis.call('publish', KEYS[1], 'register')
return false
