local told = {}
for i, key in ipairs(KEYS) do
  if redis.call('hexists', key, ARGV[i + 1]) == 1 then
    redis.call('hset', key, ARGV[i + 1], ARGV[1])
    told[i] = 1
  else
    told[i] = 0
  end
end
return told
