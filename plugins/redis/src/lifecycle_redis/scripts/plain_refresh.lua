local told = {}
for i, key in ipairs(KEYS) do
  local held = redis.pcall('get', key)
  if not held then
    told[i] = 0
  elseif type(held) == 'table' then
    if not string.find(held.err, 'WRONGTYPE', 1, true) then return held end
    told[i] = 2
  elseif redis.sha1hex(held) == ARGV[i + 1] then
    redis.call('pexpire', key, ARGV[1])
    told[i] = 1
  else
    told[i] = 2
  end
end
return told
