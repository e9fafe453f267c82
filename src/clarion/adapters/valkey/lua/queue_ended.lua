-- Up to ARGV[1] entries whose lease has ended, the oldest first. They stay where they are.

return redis.call('ZRANGE', INFLIGHT, '-inf', now_ms(), 'BYSCORE', 'LIMIT', 0, ARGV[1])
