-- Which kinds of values a field has held, as bits (see app/kinds.py); sections may now end in []
-- for what is within lists. Of what was projected before, nothing is known: it may be anything.
ALTER TABLE fields ADD COLUMN kinds INTEGER NOT NULL DEFAULT 2047;
