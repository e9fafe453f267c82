-- The keys themselves are in the database of keys (keys_schema.sql). Here it is said which columns they seal: a test
-- holds this to what `clarion secrets rotate` seals anew.
COMMENT ON COLUMN providers.credentials IS 'sealed with the tenant''s key, for this tenant, table, column and name';
COMMENT ON COLUMN token_issuers.sealed_keys IS 'sealed with the tenant''s key, for this tenant, table, column and name';
COMMENT ON COLUMN idempotency_keys.body IS 'of calls that are no accepts: sealed with the tenant''s key, for this tenant, table, column and key; ends within 24 hours';
