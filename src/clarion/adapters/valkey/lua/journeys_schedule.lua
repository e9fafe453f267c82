-- ARGV: prefix, then id, due, seq, state of each. Ends whatever lease there is. An older word than the last one is not heard.
for i = 2, #ARGV, 4 do
    local run, seq = ARGV[i], tonumber(ARGV[i + 2])
    local known = tonumber(redis.call('HGET', prefix .. run, 'q') or -1)
    if seq >= known then
        redis.call('HINCRBY', prefix .. run, 'e', 1)
        plan(run, tonumber(ARGV[i + 1]), ARGV[i + 2], ARGV[i + 3])
    end
end
return 0
