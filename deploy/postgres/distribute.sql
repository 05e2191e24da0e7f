-- Distributes the tables that grow over the nodes of a Citus cluster, all by the run, so
-- that everything of one run lies on one node.
--
--   psql "$COLLECTOR_DATABASE_URL" -v ON_ERROR_STOP=1 -f distribute.sql
--
-- Read README.md beside this file first: the collector's tests do not run on Citus.

SELECT create_distributed_table('callbacks', 'run_uid');
SELECT create_distributed_table('inputs', 'run_uid', colocate_with => 'callbacks');
SELECT create_distributed_table('custom_values', 'run_uid', colocate_with => 'callbacks');
SELECT create_distributed_table('fields', 'run_uid', colocate_with => 'callbacks');
SELECT create_distributed_table('output_pages', 'run_uid', colocate_with => 'callbacks');
SELECT create_distributed_table('edges_callbacks', 'run_uid', colocate_with => 'callbacks');
