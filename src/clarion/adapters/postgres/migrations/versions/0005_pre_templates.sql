-- Templates: drafts and what is live, who saved and who promoted, and whether a version asks something of `data`.

-- `live_at`: when a version became what is sent, NULL for one that never was. The live version is that with the latest; of those
-- that were there before this revision, the one with the highest number. The previous release saves what is live at once.
ALTER TABLE templates
    ADD COLUMN has_schema boolean     NOT NULL DEFAULT false,
    ADD COLUMN created_by text        NOT NULL DEFAULT '',
    ADD COLUMN live_at    timestamptz DEFAULT '-infinity';
ALTER TABLE templates ALTER COLUMN live_at SET DEFAULT clock_timestamp();

-- Every change of what is live, never changed itself. `previous`: what was live before, NULL for the first.
CREATE TABLE template_promotions (
    tenant_id   uuid        NOT NULL,
    name        text        NOT NULL,
    number      bigint      GENERATED ALWAYS AS IDENTITY,
    version     integer     NOT NULL,
    previous    integer,
    promoted_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    promoted_by text        NOT NULL,
    PRIMARY KEY (tenant_id, name, number)
);
ALTER TABLE template_promotions ENABLE ROW LEVEL SECURITY;
ALTER TABLE template_promotions FORCE ROW LEVEL SECURITY;
CREATE POLICY tenant_island ON template_promotions USING (tenant_id = nullif(current_setting('app.tenant', true), '')::uuid);
GRANT SELECT, INSERT ON template_promotions TO clarion_pipeline;
GRANT SELECT ON template_promotions TO clarion_api;
