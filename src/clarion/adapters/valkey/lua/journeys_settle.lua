-- ARGV: prefix, then id, epoch, due, seq, state of each. A lease that is not the last one on its run has no say.
local settled = 0
for i = 2, #ARGV, 5 do
    local run = ARGV[i]
    if redis.call('HGET', prefix .. run, 'e') == ARGV[i + 1] then
        plan(run, tonumber(ARGV[i + 2]), ARGV[i + 3], ARGV[i + 4])
        settled = settled + 1
    end
end
return settled
