-- journey_continuations:{R:S}  ZSET   run -> when it is to be looked at (ms); while a run is leased, when its lease ends
-- journey_state:{R:S}:RUN      HASH   e: epoch of the last lease; q: seq of the state; s: the state (MessagePack), absent where unknown
-- RUN is the 16 bytes of the run's id. The hash tag makes them share a slot: one call claims a batch with its states.
local continuations, prefix = KEYS[1], ARGV[1]

local function plan(run, due, seq, state)
    local key = prefix .. run
    if due < 0 then
        redis.call('ZREM', continuations, run)
        redis.call('DEL', key)
        return
    end
    redis.call('ZADD', continuations, due, run)
    if state == '' then
        redis.call('HSET', key, 'q', seq)
        redis.call('HDEL', key, 's')
    else
        redis.call('HSET', key, 'q', seq, 's', state)
    end
end
