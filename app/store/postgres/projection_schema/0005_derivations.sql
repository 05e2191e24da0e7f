-- How often a run was derived anew since its bodies changed.
ALTER TABLE projections ADD COLUMN derivation bigint NOT NULL DEFAULT 0;
