-- ARGV: prefix, limit, lease in ms. Leases what is due, earliest first; answers id, epoch, state ('' where there is none) of each.
local now = redis.call('TIME')
local now_ms = now[1] * 1000 + math.floor(now[2] / 1000)
local runs = redis.call('ZRANGEBYSCORE', continuations, '-inf', now_ms, 'LIMIT', 0, tonumber(ARGV[2]))
local until_ms = now_ms + tonumber(ARGV[3])
local claimed = {}
for _, run in ipairs(runs) do
    local key = prefix .. run
    redis.call('ZADD', continuations, until_ms, run)
    local epoch = redis.call('HINCRBY', key, 'e', 1)
    claimed[#claimed + 1] = run
    claimed[#claimed + 1] = epoch
    claimed[#claimed + 1] = redis.call('HGET', key, 's') or ''
end
return claimed
