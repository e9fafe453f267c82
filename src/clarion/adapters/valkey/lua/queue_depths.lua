-- Eleven queue lengths, eleven backlog sizes, scheduled, in flight, ms that the earliest scheduled entry is overdue,
-- ms since the oldest head of a queue was accepted (its id carries the instant).

local now, answer, oldest = now_ms(), {}, 0
for priority = 0, LOWEST do
  answer[#answer + 1] = redis.call('LLEN', queue_key(priority))
  local head = redis.call('LINDEX', queue_key(priority), 0)
  if head then
    local created = 0
    for i = 1, 6 do created = created * 256 + string.byte(head, i) end
    oldest = math.max(oldest, now - created)
  end
end
for priority = 0, LOWEST do
  answer[#answer + 1] = tonumber(redis.call('HGET', BACKLOG_SIZES, priority) or 0)
end
answer[#answer + 1] = redis.call('ZCARD', SCHEDULED)
answer[#answer + 1] = redis.call('ZCARD', INFLIGHT)
local first = redis.call('ZRANGE', SCHEDULED, 0, 0, 'WITHSCORES')
answer[#answer + 1] = first[2] and math.max(0, now - tonumber(first[2])) or 0
answer[#answer + 1] = oldest
return answer
