-- Templates: drafts and what is live, who saved and who promoted, and whether a version asks something of `data`. Partials.

-- `live_at`: when a version became what is sent, NULL for one that never was. The live version is that with the latest; of those
-- that were there before this revision, the one with the highest number. The previous release saves what is live at once.
-- `resolved`: what a version says with its partials (`partials`) put in; NULL where it was saved by a release that knew none.
-- `uses_links`: whether links have to be signed for each message.
ALTER TABLE templates
    ADD COLUMN has_schema boolean     NOT NULL DEFAULT false,
    ADD COLUMN created_by text        NOT NULL DEFAULT '',
    ADD COLUMN live_at    timestamptz DEFAULT '-infinity',
    ADD COLUMN uses_links boolean     NOT NULL DEFAULT true,
    ADD COLUMN resolved   jsonb,
    ADD COLUMN partials   text[]      NOT NULL DEFAULT '{}';
ALTER TABLE templates ALTER COLUMN live_at SET DEFAULT clock_timestamp();

-- Pieces that templates share. No version is ever changed: a template's version holds what it took.
CREATE TABLE partials (
    tenant_id  uuid        NOT NULL,
    name       text        NOT NULL,
    version    integer     NOT NULL,
    content    jsonb       NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now(),
    created_by text        NOT NULL,
    PRIMARY KEY (tenant_id, name, version)
);
ALTER TABLE partials ENABLE ROW LEVEL SECURITY;
ALTER TABLE partials FORCE ROW LEVEL SECURITY;
CREATE POLICY tenant_island ON partials USING (tenant_id = nullif(current_setting('app.tenant', true), '')::uuid);
GRANT SELECT, INSERT ON partials TO clarion_pipeline;
GRANT SELECT ON partials TO clarion_api;

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

-- In which language a tenant speaks where neither a template nor a user says: BCP 47, '' for none.
ALTER TABLE tenant_settings ADD COLUMN language text NOT NULL DEFAULT '';
