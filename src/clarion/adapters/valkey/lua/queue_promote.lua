-- Place up to ARGV[1] scheduled entries that are due, the earliest first; how many.

local due = math.min(tonumber(ARGV[1]), redis.call('ZCOUNT', SCHEDULED, '-inf', now_ms()))
if due == 0 then return 0 end
local entries = {}
for i, value in ipairs(redis.call('ZPOPMIN', SCHEDULED, due)) do
  if i % 2 == 1 then entries[#entries + 1] = value end
end
place(entries)
wake()
return due
