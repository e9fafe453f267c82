-- A model that a person chose: until it is too old to be used, only one that is surely better takes its place by itself.
ALTER TABLE ml_models ADD COLUMN held boolean NOT NULL DEFAULT false;
